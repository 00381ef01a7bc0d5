/** Damaged models, made from sound ones by seeded mutation: every one is opened and counted, or refused with the place. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { counts } from '../../../language/cost/counts';
import { WhittleError } from '../../../language/errors';
import { bindShapes } from '../../../language/graph/bindings';
import { blockTree } from '../../../language/graph/blocks';
import { checkGraph } from '../../../language/graph/check';
import { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { readModelBytes } from '../../../language/onnx/read';
import { tensorByteLength, tensorBytes } from '../../../language/onnx/tensor';
import { shared } from '../../shared';
import { bytesOf, message } from './wire';
import { handMade } from './handMade';

/** All that is done to a model before anybody sees it. */
function open(bytes: Uint8Array): void {
  const graph = Graph.of(readModelBytes(bytes));
  const { inputs } = bindShapes(graph, {});
  const facts = inferShapes(graph, { inputs });
  counts(graph, facts);
  checkGraph(graph);
  blockTree(graph, () => false);
  for (const tensor of graph.initializers.values())
    if (tensorByteLength(tensor) < 1e6) tensorBytes(tensor);
}

function expectOrderly(bytes: Uint8Array, label: string): void {
  try {
    open(bytes);
  } catch (error) {
    if (!(error instanceof WhittleError)) throw new Error(label, { cause: error });
    expect(error.message.length, label).toBeLessThan(400);
    expect(error.message, label).toMatch(/byte \d+|tensor|graph|file|node|input|size|declares/);
  }
}

const rich = handMade();
const sources: [string, Uint8Array][] = [['hand-made', rich]];
for (const name of [
  'mnist_cnn_cntk',
  'qlstm_scan_tract',
  'xgboost_tree_ml_tract',
  'mscn_128d_dual',
]) {
  const file = shared('models/found', `${name}.onnx`);
  const bytes = file && readFileSync(file);
  if (bytes && bytes.byteLength < 400_000) sources.push([name, bytes]);
}

describe('truncation', () => {
  it('at any byte of a small model is orderly', () => {
    for (let length = 0; length < rich.byteLength; length++)
      expectOrderly(rich.subarray(0, length), `first ${length} bytes`);
  });
});

/** A varint of ten bytes, and others that lengths and sizes should never be. */
const ABSURD = [
  [255, 255, 255, 255, 255, 255, 255, 255, 127],
  [255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
  [128, 128, 128, 128, 128, 128, 128, 128, 128, 128],
  [255, 255, 255, 255, 15],
  [0],
];

const MUTATIONS: Readonly<
  Record<string, (bytes: Uint8Array, below: (n: number) => number) => Uint8Array>
> = {
  overwrite: (bytes, below) => {
    const mutant = Uint8Array.from(bytes);
    for (let k = 0; k < 6; k++) mutant[below(Math.min(mutant.length, 4000))] = below(256);
    return mutant;
  },
  flip: (bytes, below) => {
    const mutant = Uint8Array.from(bytes);
    for (let k = 0; k < 6; k++) mutant[below(mutant.length)]! ^= 1 << below(8);
    return mutant;
  },
  delete: (bytes, below) => {
    const from = below(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + 1 + below(100))]);
  },
  repeat: (bytes, below) => {
    const from = below(bytes.length);
    const to = from + below(300);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  absurd: (bytes, below) => {
    const at = below(bytes.length);
    const number = Uint8Array.from(ABSURD[below(ABSURD.length)]!);
    return Buffer.concat([bytes.subarray(0, at), number, bytes.subarray(at + 1)]);
  },
  splice: (bytes, below) => {
    const [from, to] = [below(bytes.length), below(bytes.length)];
    return Buffer.concat([
      bytes.subarray(0, from),
      bytes.subarray(to, to + 200),
      bytes.subarray(from),
    ]);
  },
};

/** Enough to meet every branch of the reader; more in a run of their own with WHITTLE_MUTANTS. */
const ROUNDS = Number(process.env.WHITTLE_MUTANTS ?? 30);

describe('mutation', () => {
  const cases = sources.flatMap(([name, bytes]) =>
    Object.keys(MUTATIONS).map((kind) => [name, kind, bytes] as const),
  );
  it.each(cases)('%s, %s', (name, kind, bytes) => {
    let state = name.length * 31 + kind.length;
    const below = (n: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    for (let round = 0; round < ROUNDS; round++)
      expectOrderly(MUTATIONS[kind]!(bytes, below), `${name}, ${kind}, round ${round}`);
  });
});

describe('what no exporter writes', () => {
  const model = (graph: ReturnType<typeof message>) =>
    bytesOf(message().int(1, 8).message(8, message().int(2, 17)).message(7, graph));
  const layer = (op: string, inputs: string[], outputs: string[]) => {
    const built = message();
    for (const input of inputs) built.text(1, input);
    for (const output of outputs) built.text(2, output);
    return built.text(4, op);
  };
  const huge = (...dims: bigint[]) => {
    const shape = message();
    for (const dim of dims) shape.message(1, message().int(1, dim));
    const type = message().message(1, message().int(1, 1).message(2, shape));
    return message().text(1, 'x').message(2, type);
  };

  it('has clear problems in the graph, and opens', () => {
    const tangle = message()
      .message(1, layer('Add', ['x', 'b'], ['a']))
      .message(1, layer('Add', ['a', 'gone'], ['b']))
      .message(1, layer('Relu', ['x'], ['b']));
    const problems = checkGraph(Graph.of(readModelBytes(model(tangle)))).join('\n');
    expect(problems).toMatch(/Add_0 depends on its own result/);
    expect(problems).toMatch(/reads gone, which nothing makes/);
    expect(problems).toMatch(/b is made twice/);
    expectOrderly(model(tangle), 'tangle');
  });

  it.each<[string, bigint[]]>([
    ['2^63 − 1 elements', [2n ** 63n - 1n]],
    ['dimensions whose product is no number', [2n ** 31n, 2n ** 31n, 2n ** 31n, 2n ** 31n]],
    ['no elements beside very many', [0n, 2n ** 40n]],
  ])('an input of %s', (_, dims) => {
    const graph = message()
      .message(11, huge(...dims))
      .message(1, layer('MatMul', ['x', 'x'], ['h']))
      .message(1, layer('Conv', ['h', 'h'], ['y']));
    expectOrderly(model(graph), 'input');
  });

  it('a weight of more elements than there are bytes in the world', () => {
    const tensor = message()
      .int(1, 2n ** 40n)
      .int(1, 2n ** 10n)
      .int(2, 1)
      .text(8, 'w')
      .int(5, 1);
    const graph = Graph.of(readModelBytes(model(message().message(5, tensor))));
    expect(() => tensorBytes(graph.initializer('w')!)).toThrow(/tensor w of float32/);
  });

  it('names that are not text', () => {
    const broken = message().bytes(1, Uint8Array.of(0xff, 0xfe)).text(2, 'y').text(4, 'Relu');
    expect(() => readModelBytes(model(message().message(1, broken)))).toThrow(
      /not valid UTF-8 \(byte \d+\)/,
    );
  });

  it('a chain of twenty thousand nodes', () => {
    const graph = message();
    for (let i = 0; i < 20_000; i++) graph.message(1, layer('Relu', [`v${i}`], [`v${i + 1}`]));
    expect(Graph.of(readModelBytes(model(graph))).order).toHaveLength(20_000);
  });

  it('functions that call each other in a circle', () => {
    const calls = (name: string, other: string) =>
      message()
        .text(1, name)
        .text(4, 'a')
        .text(5, 'b')
        .message(7, layer(other, ['a'], ['b']).text(7, 'mine'))
        .message(7, layer(other, ['a'], ['c']).text(7, 'mine'))
        .text(10, 'mine');
    const bytes = bytesOf(
      message()
        .int(1, 10)
        .message(8, message().int(2, 17))
        .message(25, calls('F', 'G'))
        .message(25, calls('G', 'F'))
        .message(7, message().message(1, layer('F', ['x'], ['y']).text(7, 'mine'))),
    );
    expectOrderly(bytes, 'circle');
  });

  it('sizes that shape computations make absurd', () => {
    const value = (name: string, ...numbers: bigint[]) =>
      message()
        .int(1, numbers.length)
        .int(2, 7)
        .text(8, name)
        .bytes(9, new Uint8Array(BigInt64Array.from(numbers).buffer));
    const graph = message()
      .message(5, value('big', 2n ** 40n, 2n ** 40n))
      .message(5, value('negative', -5n))
      .message(1, layer('ConstantOfShape', ['big'], ['a']))
      .message(1, layer('ConstantOfShape', ['negative'], ['b']))
      .message(1, layer('Expand', ['a', 'big'], ['c']))
      .message(1, layer('Tile', ['a', 'big'], ['d']))
      .message(1, layer('Range', ['negative', 'big', 'big'], ['e']));
    expectOrderly(model(graph), 'sizes');
  });
});
