/**
 * How much queries take of keys: the probabilities of an attention, averaged over the samples. ONNX Runtime adds up those of
 * a batch, so that what leaves it is one map of the attention, however many samples there are.
 */
import { WhittleError } from '../../errors';
import { intAttribute, intsAttribute, type Graph, type Node } from '../../graph/graph';
import { elementCount } from '../../onnx/tensor';
import type { AttentionMap, AttentionProbe } from '../tasks';
import type { ModelCopy } from './exposing';
import type { Surveyed } from './survey';
import type { Outputs, Watcher } from './watching';

/** What all maps of a run may hold, at 8 bytes an element. */
const MOST_ELEMENTS = 2 ** 24;

/** The value that holds the probabilities of an attention which is not one operator. */
export const probabilitiesOf = (graph: Graph, { node }: AttentionProbe): string =>
  graph.node(node)!.outputs[0]!;

/** @throws WhittleError with the reason where the probabilities cannot be read */
export function attentionWatcher(
  graph: Graph,
  copy: ModelCopy,
  probe: AttentionProbe,
  surveyed: Surveyed | undefined,
): AttentionWatcher {
  if (probe.kind === 'fused') {
    const read = FUSED[operatorOf(graph.node(probe.node)!)];
    if (!read) throw new WhittleError('ONNX Runtime keeps its probabilities to itself');
    return summed(copy, probe.node, copy.single(read(copy, graph.node(probe.node)!, graph)), 4);
  }
  if (!surveyed) throw new WhittleError('its probabilities have no elements');
  const { dims, type } = surveyed;
  const value = copy.widened(probabilitiesOf(graph, probe), type);
  const [queries = 1, keys = 1] = dims.slice(-2);
  const { heads } = probe;
  // Samples and heads may share an axis.
  const isMerged = dims.length === 3 && heads !== undefined && dims[0]! % heads === 0;
  if (isMerged)
    return summed(copy, probe.node, copy.reshaped(value, [-1, heads, queries, keys]), 4);
  if (dims.length < 3) throw new WhittleError('its probabilities have no axis for the samples');
  return summed(copy, probe.node, value, dims.length);
}

function summed(copy: ModelCopy, about: string, value: string, rank: number): AttentionWatcher {
  const leading = Array.from({ length: Math.max(1, rank - 3) }, (_, axis) => axis);
  const sum = copy.expose(copy.reduce('ReduceSum', value, leading));
  const shape = copy.expose(copy.add('Shape', [value]));
  return new AttentionWatcher(about, sum, shape, leading.length);
}

export class AttentionWatcher implements Watcher {
  #sums: Float64Array | undefined;
  #dims: readonly number[] = [];
  #count = 0;
  /** Why there is no map after all. */
  problem: string | undefined;

  /** @param sum and `shape`: names of the outputs that hold them */
  constructor(
    readonly about: string,
    private readonly sum: string,
    private readonly shape: string,
    private readonly leading: number,
  ) {}

  add(outputs: Outputs): boolean {
    if (this.problem !== undefined) return true;
    const { dims, values } = outputs.get(this.sum)!;
    this.#sums ??= this.#start(dims);
    if (!this.#sums) return true;
    if (dims.join() !== this.#dims.join()) {
      this.problem = `it is ${sizes(this.#dims)} for some samples and ${sizes(dims)} for others, which have no mean`;
      return true;
    }
    const shape = Array.from(outputs.get(this.shape)!.values!);
    this.#count += elementCount(shape.slice(0, this.leading));
    const sums = this.#sums;
    for (let i = 0; i < sums.length; i++) {
      if (!Number.isFinite(values![i])) return false;
      sums[i]! += values![i]!;
    }
    return true;
  }

  result(): AttentionMap {
    const [keys = 1, queries = 1, heads = 1] = [...this.#dims].reverse();
    const count = this.#count;
    const mean = (this.#sums ?? new Float64Array(0)).map((sum) => sum / count);
    return { count, heads, queries, keys, mean };
  }

  #start(dims: readonly number[]): Float64Array | undefined {
    this.#dims = dims;
    const elements = elementCount(dims);
    if (elements <= MOST_ELEMENTS) return new Float64Array(elements);
    this.problem = `it is ${sizes(dims)}, more than is kept`;
    return undefined;
  }
}

const sizes = (dims: readonly number[]): string => dims.join(' × ');

// ---- one operator for all of it

const operatorOf = ({ op, domain }: Node): string => (domain ? `${domain}.${op}` : op);

/** Asks an operator, or one like it, for its probabilities; answers the value, which is by head: rank 4. */
type Reader = (copy: ModelCopy, node: Node, graph: Graph) => string;

const FUSED: Readonly<Record<string, Reader>> = {
  // Of the ONNX standard: mode 3 tells what the softmax made.
  Attention: (copy, node) =>
    copy.again(node, node.inputs, 4, { qk_matmul_output_mode: { kind: 'int', value: 3 } }).at(3)!,
  'com.microsoft.MultiHeadAttention': (copy, node) =>
    probabilities(copy, copy.again(node, node.inputs, 4).at(3)!),
  'com.microsoft.GroupQueryAttention': (copy, node) =>
    copy.again(node, node.inputs, 4, { qk_output: { kind: 'int', value: 2 } }).at(3)!,
  'com.microsoft.Attention': projected,
};

/** Of the scores that the operator tells, with its scale and masks in them. */
const probabilities = (copy: ModelCopy, scores: string): string =>
  copy.add('Softmax', [copy.declareSingle(scores)], { axis: { kind: 'int', value: -1 } });

/** The operator that projects its input itself: the projection, then the operator that is told queries, keys and values. */
function projected(copy: ModelCopy, node: Node, graph: Graph): string {
  const [input = '', weight = '', bias = '', mask = '', past = '', scoreBias = ''] = node.inputs;
  if (past || intAttribute(node, 'do_rotary', 0) === 1)
    throw new WhittleError('a cache or a rotation inside it hides its probabilities');
  const product = copy.add('MatMul', [input, weight]);
  const all = bias ? copy.add('Add', [product, bias]) : product;
  const width = graph.constant(weight)?.dims[1];
  if (width === undefined) throw new WhittleError('its weight is no constant');
  const third = width / 3;
  const parts = copy.split(all, intsAttribute(node, 'qkv_hidden_sizes') ?? [third, third, third]);
  const inputs = [...parts, '', mask, scoreBias];
  const kept = ['num_heads', 'scale', 'unidirectional', 'mask_filter_value'];
  const attributes = [...node.attributes].filter(([name]) => kept.includes(name));
  const like = { ...node, op: 'MultiHeadAttention', attributes: new Map(attributes) };
  return probabilities(copy, copy.again(like, inputs, 4).at(3)!);
}
