import type { Facts } from '../../graph/facts';
import type { Graph } from '../../graph/graph';
import { raiseOpset } from '../../graph/opset';
import type { Tensor } from '../../onnx/model';
import { fromBase64 } from '../base64';
import { foldFactors } from '../fold';
import { groupsOf, linearOf, matrixOf, weightOf, type Linear } from '../linear';
import type { Pass, Refusal, Site } from '../pass';
import { INT4_OPSET, whyNoInt4 } from '../quantisedWeights';
import { sitesWhere } from '../sites';
import { scaleRows, shrinkOf } from './rounding/awq';
import { roundToNearest, type Rounded } from './rounding/blockwise';
import { hqq } from './rounding/hqq';
import { decodeRounded, NOTHING, type Decisions, type LayerDecision } from './weights/decisions';
import { dequantiseWeight } from './weights/interchange';
import { formatOf, parameters, type Parameters } from './weights/parameters';
import { placesFor, planAwq, planGptq } from './weights/plan';
import { chosenLayers } from './weights/selection';
import { quantiseTable, roundTable, tableOf, whyKept } from './weights/tables';
import { quantiseLayer } from './weights/write';

const weights: Pass<Parameters, Decisions> = {
  id: 'quantize.weights',
  title: 'Weights only',
  family: 'quantize',
  summary:
    'Weights of linear layers in 2, 4 or 8 bits with a scale per block, activations as they are: for language models that are bound by reading weights. Written as MatMulNBits of ONNX Runtime, or as DequantizeLinear for others; tables of embeddings too where asked.',
  paper: {
    title:
      'GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers; AWQ: Activation-aware Weight Quantization; Half-Quadratic Quantization',
    authors: 'Frantar, Ashkboos, Hoefler, Alistarh; Lin et al.; Badri, Shaji',
    venue: 'ICLR 2023; MLSys 2024; 2023',
  },
  parameters,
  needs: ({ method }) => (method === 'gptq' || method === 'awq' ? ['calibration'] : []),

  sites: ({ graph, facts }) =>
    sitesWhere(graph, (node) => {
      if (node.op === 'MatMulNBits') return 'its weights are quantised already';
      if (node.op === 'Conv')
        return 'there is no kernel for convolutions with weights of a few bits';
      return tableOf(graph, facts, node) ?? linearOf(graph, facts, node);
    }),

  async plan(request, evidence) {
    switch (request.parameters.method) {
      case 'gptq':
        return planGptq(request, evidence);
      case 'awq':
        return planAwq(request, evidence);
      default:
        return NOTHING;
    }
  },

  standIn: ({ parameters: { method } }) => ({
    ...NOTHING,
    open: method === 'gptq' || method === 'awq',
  }),

  rewrite({ graph, facts, sites, parameters: chosen }, { layers: decided, scalings, open }) {
    const interchange = chosen.format === 'qdq';
    if (interchange) {
      const reason = whyNotInterchanged(graph, facts, chosen);
      if (reason) return sites.map(({ node }) => ({ node, reason }));
      raiseOpset(graph, facts, INT4_OPSET);
    }
    const write = interchange ? dequantiseWeight : quantiseLayer;
    const { layers, refused } = chosenLayers(graph, facts, sites, chosen);
    const factors = new Map(scalings.map((scaling) => [scaling.value, scaling.factors]));
    for (const { value, layers: members } of groupsOf(layers)) {
      const by = factors.get(value);
      if (by) foldFactors(graph, placesFor(graph, value, members)!, () => by.map((f) => 1 / f));
    }
    for (const layer of layers) {
      const tensor = weightOf(graph, layer);
      const decision = decided[layer.node];
      const rounded = once(() =>
        roundLayer(tensor, layer, chosen, decision, factors.get(layer.activation)),
      );
      write(graph, layer, chosen, rounded, open);
    }
    return [...refused, ...quantiseTables(graph, facts, sites, chosen)];
  },
};
export default weights;

function whyNotInterchanged(graph: Graph, facts: Facts, chosen: Parameters): string | undefined {
  if (chosen.bits === 2) return '2 bits have no type in operator set 21; `format: nbits` has';
  if (chosen.method === 'hqq')
    return 'hqq puts zero points between codes, which DequantizeLinear cannot hold; `format: nbits` can';
  return whyNoInt4(graph, facts);
}

/** Behind the layers, which may have read the same weights. */
function quantiseTables(
  graph: Graph,
  facts: Facts,
  sites: readonly Site[],
  chosen: Parameters,
): Refusal[] {
  const refused: Refusal[] = [];
  for (const { node } of sites) {
    const table = tableOf(graph, facts, graph.node(node)!);
    if (typeof table !== 'object') continue;
    const reason = whyKept(graph, table, chosen);
    if (reason) refused.push({ node, reason });
    else
      quantiseTable(
        graph,
        table,
        chosen,
        once(() => roundTable(table, chosen)),
      );
  }
  return refused;
}

function roundLayer(
  tensor: Tensor,
  layer: Linear,
  chosen: Parameters,
  decision: LayerDecision | undefined,
  factors: readonly number[] | undefined,
): Rounded {
  const format = formatOf(chosen, layer.rows);
  if (decision?.kind === 'rounded') return decodeRounded(layer, format, decision);
  const own = matrixOf(tensor, layer);
  const matrix = factors ? scaleRows(own, factors) : own;
  if (chosen.method === 'hqq') return hqq(matrix, format);
  if (decision?.kind !== 'clipped') return roundToNearest(matrix, format);
  const steps = fromBase64(decision.steps);
  return roundToNearest(matrix, format, (block) =>
    Array.from(steps.subarray(block * layer.columns, (block + 1) * layer.columns), shrinkOf),
  );
}

/** Three tensors come of one rounding. */
function once<T>(compute: () => T): () => T {
  let known: { readonly result: T } | undefined;
  return () => (known ??= { result: compute() }).result;
}
