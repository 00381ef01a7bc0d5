import { attentionCores } from '../../graph/match/attention';
import { floatLinearOf, groupsOf, weightOf } from '../linear';
import type { Pass } from '../pass';
import { sitesWhere } from '../sites';
import { quantiseSoftmax } from './agile/log2';
import { parameters, type Parameters } from './agile/parameters';
import { layerWriter, planAgile, refineAll, roundedLayer, type Decisions } from './agile/plan';
import { chosenLayers } from './weights/selection';

const agile: Pass<Parameters, Decisions> = {
  id: 'quantize.agile',
  title: 'Agile-Quant',
  family: 'quantize',
  summary:
    'Weights of matrix layers in 4 bits, what they read in 8 or 4 bits with a scale for each token as it comes, for language models on processors that multiply a few bits. Integer kernels of ONNX Runtime compute it with codes in bytes: 4 bits are emulated, to the bit. Products of activations stay float; its pruning of tokens is tokens.agile, as a step before this one.',
  paper: {
    title: 'Agile-Quant: Activation-Guided Quantization for Faster Inference of LLMs on the Edge',
    authors: 'Shen, Dong, Lu, Kong, Li, Lin, Wu, Wang',
    venue: 'AAAI 2024',
  },
  parameters,
  needs: ({ rounding, refine, activations }) =>
    rounding === 'gptq' || (refine === 'auto' && activations !== 16) ? ['calibration'] : [],

  sites: ({ graph, facts }) =>
    sitesWhere(graph, (node) => {
      const layer = floatLinearOf(graph, facts, node);
      if (typeof layer !== 'object') return layer;
      if (graph.opset < 11) return `rounding needs operator set 11, the model uses ${graph.opset}`;
      return layer;
    }),

  plan: planAgile,

  standIn: ({ parameters: { rounding } }) => ({
    layers: {},
    refinements: [],
    open: rounding === 'gptq',
  }),

  rewrite({ graph, facts, sites, parameters: chosen }, { layers: decided, refinements, open }) {
    refineAll(graph, groupsOf(chosenLayers(graph, facts, sites, chosen).layers), refinements);
    const { layers, refused } = chosenLayers(graph, facts, sites, chosen);
    const softmaxes = chosen.softmax === 'log2' ? attentionCores(graph, facts) : [];
    const write = layerWriter(graph, chosen, open);
    for (const layer of layers) {
      const weight = weightOf(graph, layer);
      write(
        layer,
        once(() => roundedLayer(weight, layer, decided[layer.node])),
      );
    }
    for (const { softmax } of softmaxes) quantiseSoftmax(graph, graph.node(softmax.id)!);
    return refused;
  },
};
export default agile;

/** Several tensors come of one rounding. */
function once<T>(compute: () => T): () => T {
  let known: { readonly result: T } | undefined;
  return () => (known ??= { result: compute() }).result;
}
