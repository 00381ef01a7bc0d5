import { z } from 'zod';
import type { Graph, Node } from '../../graph/graph';
import type { Tensor } from '../../onnx/model';
import { elementBits, isFloat } from '../../onnx/schema';
import { elementCount, tensorBytes, tensorNumbers, type Numbers } from '../../onnx/tensor';
import type { Evidence, Pass, Refusal, Sites, StepRequest } from '../pass';
import { canHoldWeights, isView, weightInputs } from '../weights';

const parameters = z.strictObject({
  ratio: z.number().min(0).max(1).default(0.5).meta({
    title: 'Ratio',
    description: 'Share of the weights that are set to zero',
    role: 'ratio',
    multipleOf: 0.01,
  }),
  scope: z.enum(['layer', 'global']).default('layer').meta({
    title: 'Scope',
    description: 'Rank the weights within each layer, or all chosen layers together',
  }),
});
type Parameters = z.infer<typeof parameters>;

/** What is pruned of one tensor. */
interface Cut {
  /** The value that holds the weights. */
  readonly weight: string;
  /** Weights of smaller magnitude become zero; null while only the number of them is known. */
  readonly threshold: number | null;
  /** Of the weights whose magnitude is the threshold, so many become zero, the first ones. */
  readonly ties: number;
  readonly nonzeros: number;
}

interface Decisions {
  readonly cuts: readonly Cut[];
}

const magnitude: Pass<Parameters, Decisions> = {
  id: 'prune.magnitude',
  title: 'Magnitude',
  family: 'prune',
  summary:
    'Sets the weights of smallest magnitude to zero, one by one, without moving the others. Files compress better and hardware that skips zeros gains; dense kernels do not.',
  paper: {
    title: 'Learning both Weights and Connections for Efficient Neural Networks',
    authors: 'Han, Pool, Tran, Dally',
    venue: 'NeurIPS 2015',
  },
  parameters,
  needs: () => ['weights'],

  sites({ graph }): Sites {
    const sites: { node: string }[] = [];
    const refused: Refusal[] = [];
    for (const node of graph.order) {
      if (!canHoldWeights(node)) continue;
      const weights = weightInputs(graph, node);
      if (weights.length === 0) {
        if (readsQuantised(graph, node))
          refused.push({ node: node.id, reason: 'its weights are quantised already' });
        continue;
      }
      const reason = weights.map(({ tensor }) => refusal(tensor)).find((r) => r !== undefined);
      if (reason) refused.push({ node: node.id, reason });
      else sites.push({ node: node.id });
    }
    return { sites, refused };
  },

  plan(request, evidence) {
    return Promise.resolve({ cuts: decide(request, evidence) });
  },

  standIn({ graph, sites, parameters: { ratio } }) {
    const { weights } = chosenWeights(graph, sites);
    return {
      cuts: weights.map(({ value, tensor }) => {
        const count = elementCount(tensor.dims);
        const nonzeros = count - Math.round(ratio * count);
        return { weight: value, threshold: null, ties: 0, nonzeros };
      }),
    };
  },

  rewrite({ graph, sites }, { cuts }) {
    const { weights, refused } = chosenWeights(graph, sites);
    const byWeight = new Map(cuts.map((cut) => [cut.weight, cut]));
    for (const { value, tensor } of weights) {
      const cut = byWeight.get(value);
      if (cut) graph.setConstant(value, prunedTensor(tensor, cut));
    }
    return refused;
  },
};
export default magnitude;

function refusal(tensor: Tensor): string | undefined {
  if (!isFloat(tensor.elementType)) return `its weights are ${tensor.elementType}`;
  if (tensor.dims.length < 2) return 'its weight is a vector';
  return undefined;
}

function readsQuantised(graph: Graph, node: Node): boolean {
  return node.inputs.some((input) => {
    const producer = graph.producer(input);
    return producer?.op === 'DequantizeLinear' && graph.constant(producer.inputs[0] ?? '');
  });
}

interface Weight {
  readonly value: string;
  readonly tensor: Tensor;
}

/** The tensors of the chosen layers, each once. One that other layers read too is left alone: it would change them. */
function chosenWeights(
  graph: Graph,
  sites: readonly { node: string }[],
): { weights: Weight[]; refused: Refusal[] } {
  const chosen = new Set(sites.map((site) => site.node));
  const weights = new Map<string, Weight>();
  const refused: Refusal[] = [];
  for (const id of chosen) {
    const node = graph.node(id);
    if (!node) continue;
    for (const { source, tensor } of weightInputs(graph, node)) {
      const stranger = finalReaders(graph, source).find((reader) => !chosen.has(reader.id));
      if (stranger) refused.push({ node: id, reason: `it shares its weight with ${stranger.id}` });
      else weights.set(source, { value: source, tensor });
    }
  }
  return { weights: [...weights.values()], refused };
}

/** The layers that read a constant, directly or through views of it. */
function finalReaders(graph: Graph, value: string): Node[] {
  return graph.consumers(value).flatMap((reader) => {
    const behind = isView(reader) ? finalReaders(graph, reader.outputs[0] ?? '') : [];
    return behind.length ? behind : [reader];
  });
}

function decide({ graph, sites, parameters }: StepRequest<Parameters>, evidence: Evidence): Cut[] {
  const { weights } = chosenWeights(graph, sites);
  const read = (weight: Weight) => {
    evidence.progress(weight.value);
    return evidence.numbers(weight.tensor);
  };
  if (parameters.scope === 'layer')
    return weights.map((weight) => {
      const values = read(weight);
      const [threshold, ties] = smallest(
        [() => values],
        Math.round(parameters.ratio * values.length),
      );
      return cutOf(weight.value, values, threshold, ties);
    });
  const total = weights.reduce((sum, { tensor }) => sum + elementCount(tensor.dims), 0);
  const [threshold, allTies] = smallest(
    weights.map((weight) => () => read(weight)),
    Math.round(parameters.ratio * total),
  );
  let ties = allTies;
  return weights.map((weight) => {
    const cut = cutOf(weight.value, read(weight), threshold, ties);
    ties -= cut.ties;
    return cut;
  });
}

function cutOf(weight: string, values: Numbers, threshold: number, ties: number): Cut {
  let nonzeros = 0;
  let equal = 0;
  for (let i = 0; i < values.length; i++) {
    const size = magnitudeOf(values[i]!);
    if (size > threshold) nonzeros++;
    else if (size === threshold) equal++;
  }
  const own = Math.min(ties, equal);
  return { weight, threshold, ties: own, nonzeros: nonzeros + (threshold === 0 ? 0 : equal - own) };
}

/** Magnitudes are ranked as float32, so that they order like their bits; NaN ranks highest and is never pruned. */
const magnitudeOf = (value: number): number => Math.fround(Math.abs(value));

/**
 * The threshold below which `count` magnitudes lie, and how many at the threshold itself belong to them. Two passes of a
 * radix selection over the bits of the float: linear, and no copy of the weights.
 */
function smallest(
  tensors: readonly (() => Numbers)[],
  count: number,
): [threshold: number, ties: number] {
  if (count === 0) return [0, 0];
  const [high, below] = selectBin(tensors, count, (bits) => bits >>> 16);
  const [low, rest] = selectBin(tensors, below, (bits) =>
    bits >>> 16 === high ? bits & 0xffff : -1,
  );
  return [floatOf(high * 65536 + low), rest];
}

/** The bin that holds the `count`th smallest key, and its rank within that bin; keys below zero are left out. */
function selectBin(
  tensors: readonly (() => Numbers)[],
  count: number,
  key: (bits: number) => number,
): [bin: number, rank: number] {
  const histogram = new Float64Array(65536);
  for (const read of tensors) {
    const bits = bitsOf(read());
    for (let i = 0; i < bits.length; i++) {
      const bin = key(bits[i]!);
      if (bin >= 0) histogram[bin]!++;
    }
  }
  let rank = count;
  let bin = 0;
  while (bin < 65535 && rank > histogram[bin]!) rank -= histogram[bin++]!;
  return [bin, rank];
}

function bitsOf(values: Numbers): Uint32Array {
  const floats = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) floats[i] = Math.abs(values[i]!);
  return new Uint32Array(floats.buffer);
}

const floatOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

function prunedTensor(tensor: Tensor, cut: Cut): Tensor {
  const { threshold, ties, nonzeros } = cut;
  return {
    name: tensor.name,
    elementType: tensor.elementType,
    dims: tensor.dims,
    data: { kind: 'computed', compute: () => prunedBytes(tensor, threshold, ties) },
    density: () => ({ nonzeros, estimated: threshold === null }),
  };
}

function prunedBytes(tensor: Tensor, threshold: number | null, ties: number): Uint8Array {
  if (threshold === null) throw new Error(`the weights of ${tensor.name} have no plan yet`);
  const values = tensorNumbers(tensor);
  const bytes = tensorBytes(tensor).slice();
  const width = elementBits(tensor.elementType) / 8;
  let left = ties;
  for (let i = 0; i < values.length; i++) {
    const size = magnitudeOf(values[i]!);
    if (size < threshold || (size === threshold && left-- > 0))
      bytes.fill(0, i * width, (i + 1) * width);
  }
  return bytes;
}
