/**
 * The Fisher information of a layer's output without gradients. For outputs f with Gaussian noise it is JᵀJ, J the Jacobian
 * of f by the layer's output; K-FAC's factor G is its mean over positions, channels by channels (Martens, Grosse. Optimizing
 * Neural Networks with Kronecker-factored Approximate Curvature. ICML 2015). With random signs s over positions and e_c a
 * channel, J(s ⊗ e_c)·J(s ⊗ e_d) is G_cd times the number of positions in expectation, because what different positions
 * contribute cancels. J(s ⊗ e_c) is a forward difference: the model runs once with the channel moved by ±ε and once
 * without, all channels of a block as one batch.
 */
import { WhittleError } from '../../../errors';
import { fixedShape, type Facts } from '../../../graph/facts';
import type { Graph } from '../../../graph/graph';
import { packInt64 } from '../../../onnx/tensor';
import { Inserter, floatBytes } from '../../inserter';
import type { Evidence } from '../../pass';
import type { FisherBlock } from './reconstruct';

/** Channels that run as one batch; what lies between blocks of channels is taken as none. */
const BLOCK = 64;
const SAMPLES = 4;
/** Of the root mean square of the layer's output. */
const STEP = 0.02;

/** @param channelAxis of the node's output */
export async function fisherOf(
  graph: Graph,
  facts: Facts,
  node: string,
  channelAxis: number,
  evidence: Evidence,
): Promise<FisherBlock[]> {
  const output = graph.node(node)!.outputs[0]!;
  const dims = fixedShape(facts.value(output).shape);
  const batched = graph.inputs.filter(({ type }) => isBatched(type));
  if (!dims || batched.length === 0)
    throw new WhittleError(
      `the Fisher information of ${node} needs a free batch, and all other sizes known`,
      { hint: 'Use `reconstruct: output`, or give the free dimensions a size' },
    );
  const step = STEP * (await magnitudeOf(output, evidence));
  const channels = dims[channelAxis]!;
  const blocks = Math.ceil(channels / BLOCK);
  const out: FisherBlock[] = [];
  for (let block = 0; block < blocks; block++) {
    const from = Math.floor((block * channels) / blocks);
    const size = Math.floor(((block + 1) * channels) / blocks) - from;
    const probed = graph.fork();
    const signs = signsOf(dims, channelAxis);
    const gram = probe(probed, { node, dims, channelAxis, from, size, step, signs, facts });
    const data = new Float64Array(size * size);
    for (const run of (await evidence.activations([gram], SAMPLES, probed)).get(gram)!)
      run.data.forEach((value, i) => (data[i]! += value));
    out.push({ from, size, data });
  }
  return out;
}

const isBatched = (type: Graph['inputs'][number]['type']): boolean =>
  type.kind === 'tensor' && typeof type.shape?.[0] === 'string';

/** Root mean square. */
async function magnitudeOf(value: string, evidence: Evidence): Promise<number> {
  const { meanSquare } = (await evidence.moments([value])).get(value)!;
  const mean = meanSquare.reduce((a, b) => a + b, 0) / meanSquare.length;
  return mean > 0 ? Math.sqrt(mean) : 1;
}

interface Probe {
  readonly node: string;
  readonly dims: readonly number[];
  readonly channelAxis: number;
  readonly from: number;
  readonly size: number;
  readonly step: number;
  /** One per position, of the dimensions after the first with one channel. */
  readonly signs: Float32Array;
  readonly facts: Facts;
}

/** The same for every layer of one size: Numerical Recipes' generator, by its highest bit. */
function signsOf(dims: readonly number[], channelAxis: number): Float32Array {
  const positions = dims.reduce(
    (all, size, axis) => (axis === 0 || axis === channelAxis ? all : all * size),
    1,
  );
  let state = 1;
  return Float32Array.from({ length: positions }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 31 ? 1 : -1;
  });
}

/** Runs every sample once as it is and once per channel with that channel moved; returns the value that holds G. */
function probe(
  graph: Graph,
  { node: id, dims, channelAxis, from, size, step, signs, facts }: Probe,
): string {
  const inserter = new Inserter(graph);
  const near = graph.node(id)!;
  const sizes = (name: string, values: readonly number[]) =>
    inserter.constant(`${id}/${name}`, 'int64', [values.length], () => packInt64(values));
  for (const { name, type } of graph.inputs) {
    if (!isBatched(type)) continue;
    const rank = facts.value(name).shape!.length;
    const repeats = Array.from({ length: rank }, (_, axis) => (axis === 0 ? size + 1 : 1));
    const readers = new Set(graph.consumers(name).map((reader) => reader.id));
    const tiled = inserter.insert(
      'Tile',
      [name, sizes('repeats', repeats)],
      graph.freshValue(`${name}/tiled`),
      near,
    );
    graph.rewire(name, tiled, (reader) => readers.has(reader.id));
  }
  const output = near.outputs[0]!;
  const plain = graph.freshValue(`${output}/plain`);
  graph.renameOutput(id, output, plain);
  const rest = dims.slice(1);
  const apart = inserter.insert(
    'Reshape',
    [plain, sizes('apart', [size + 1, -1, ...rest])],
    graph.freshValue(`${output}/apart`),
    near,
  );
  const channels = dims[channelAxis]!;
  const along = (axis: number, length: number) => rest.map((_, i) => (i + 1 === axis ? length : 1));
  const picks = inserter.constant(
    `${id}/picks`,
    'float32',
    [size + 1, 1, ...along(channelAxis, channels)],
    () => {
      const rows = new Float32Array((size + 1) * channels);
      for (let c = 0; c < size; c++) rows[(c + 1) * channels + from + c] = step;
      return floatBytes(rows);
    },
  );
  const positions = rest.map((length, i) => (i + 1 === channelAxis ? 1 : length));
  const field = inserter.constant(`${id}/signs`, 'float32', positions, () => floatBytes(signs));
  const moves = inserter.insert('Mul', [picks, field], graph.freshValue(`${output}/moves`), near);
  const moved = inserter.insert('Add', [apart, moves], graph.freshValue(`${output}/moved`), near);
  inserter.insert('Reshape', [moved, sizes('together', [-1, ...rest])], output, near);
  const grams = graph.outputs
    .filter(({ type }) => type.kind === 'tensor' && type.elementType === 'float32')
    .map(({ name }) => outputGram(graph, inserter, name, size, id));
  return grams.length === 1
    ? grams[0]!
    : inserter.insert('Sum', grams, graph.freshValue(`${output}/fisher`), near);
}

/** The products of what the moves did to one of the model's outputs, by channel and channel. */
function outputGram(
  graph: Graph,
  inserter: Inserter,
  name: string,
  size: number,
  id: string,
): string {
  const near = graph.producer(name) ?? graph.node(id)!;
  const fresh = (part: string) => graph.freshValue(`${name}/${part}`);
  const vector = (part: string, values: readonly number[]) =>
    inserter.constant(`${name}/${part}`, 'int64', [values.length], () => packInt64(values));
  const rows = inserter.insert(
    'Reshape',
    [name, vector('rows_shape', [size + 1, -1])],
    fresh('rows'),
    near,
  );
  const slice = (part: string, start: number, end: number) =>
    inserter.insert(
      'Slice',
      [
        rows,
        vector(`${part}_start`, [start]),
        vector(`${part}_end`, [end]),
        vector(`${part}_axis`, [0]),
      ],
      fresh(part),
      near,
    );
  const changes = inserter.insert(
    'Sub',
    [slice('moved', 1, size + 1), slice('still', 0, 1)],
    fresh('changes'),
    near,
  );
  const turned = inserter.insert('Transpose', [changes], fresh('turned'), near, {
    attributes: { perm: { kind: 'ints', value: [1, 0] } },
  });
  return inserter.insert('MatMul', [changes, turned], fresh('gram'), near);
}
