import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bindShapes } from '../../../../language/graph/bindings';
import type { Facts } from '../../../../language/graph/facts';
import { Graph } from '../../../../language/graph/graph';
import {
  channelGroups,
  type ChannelGroup,
  type Member,
} from '../../../../language/graph/match/channels';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import type { NodeRecord, Tensor, ValueInfo } from '../../../../language/onnx/model';
import { readModelFile } from '../../../../language/onnx/read';
import {
  elementCount,
  float32Tensor,
  int64Tensor,
  makeTensor,
  tensorBytes,
} from '../../../../language/onnx/tensor';
import { writeModel } from '../../../../language/onnx/write';
import { openSession } from '../../../../language/runtime/session';
import { ints, makeGraph, node, value, weight } from '../../../models';

const folder = mkdtempSync(path.join(tmpdir(), 'channels-'));
afterAll(() => rmSync(folder, { recursive: true }));

const IMAGE = value('x', [1, 3, 8, 8]);
const TOKENS = value('x', [1, 6, 16]);

function graphOf(
  input: ValueInfo,
  nodes: readonly NodeRecord[],
  weights: readonly Tensor[],
): Graph {
  const outputs = [value(nodes.at(-1)!.outputs[0]!)];
  return makeGraph({ inputs: [input], outputs, nodes, weights });
}
const factsOf = (graph: Graph): Facts => inferShapes(graph, bindShapes(graph, {}));
const groupsOf = (graph: Graph): ChannelGroup[] => channelGroups(graph, factsOf(graph));

/** `3×32: made(0+32,96+32) | read(0+32)` for a group of three heads of 32. */
function summary(group: ChannelGroup): string {
  const list = (members: readonly Member[]) =>
    members.map((m) => {
      const spans = m.spans.map(({ offset, block }) => `${offset}${block > 1 ? `+${block}` : ''}`);
      return `${m.value}.${m.axis}${spans.join() === '0' ? '' : `(${spans.join()})`}`;
    });
  const state = group.prunable ? '' : 'held ';
  const [made, read] = [list(group.producers), list(group.consumers)].map((l) => l.join(' '));
  return `${state}${group.units}: ${made} | ${read}`;
}

// ---- removing for real

/** The elements of an axis that are a unit of a member. */
const places = ({ spans }: Member, unit: number): Set<number> =>
  new Set(
    spans.flatMap(({ offset, block }) =>
      Array.from({ length: block }, (_, i) => offset + unit * block + i),
    ),
  );

/** Takes places along an axis out, or writes zeros over them. */
function edited(tensor: Tensor, axis: number, at: Set<number>, how: 'cut' | 'zero'): Tensor {
  const { dims } = tensor;
  const bytes = tensorBytes(tensor);
  const run = (elementCount(dims.slice(axis + 1)) * bytes.length) / elementCount(dims);
  const chunks: Uint8Array[] = [];
  for (let i = 0; i * run < bytes.length; i++) {
    const chunk = bytes.subarray(i * run, (i + 1) * run);
    if (!at.has(i % dims[axis]!)) chunks.push(chunk);
    else if (how === 'zero') chunks.push(new Uint8Array(run));
  }
  const size = how === 'cut' ? dims[axis]! - at.size : dims[axis]!;
  return makeTensor(tensor.name, tensor.elementType, dims.with(axis, size), Buffer.concat(chunks));
}

function edit(graph: Graph, members: readonly Member[], unit: number, how: 'cut' | 'zero'): void {
  const done = new Set<string>();
  for (const member of members) {
    const key = `${member.value} ${member.axis}`;
    if (done.has(key)) continue;
    done.add(key);
    const tensor = graph.constant(member.value)!;
    graph.setConstant(member.value, edited(tensor, member.axis, places(member, unit), how));
  }
}

function pruned(graph: Graph, group: ChannelGroup, unit: number): Graph {
  const fork = graph.fork();
  edit(fork, [...group.producers, ...group.consumers], unit, 'cut');
  for (const { node: id, at, elements, changes } of group.sizes) {
    const sizes = changes.reduce(
      (all, { element, by }) => all.with(element, all[element]! - by),
      [...elements],
    );
    if ('attribute' in at) {
      const [first = 0] = sizes;
      const isList = at.attribute !== 'group' && at.attribute !== 'num_groups';
      const kind = isList ? { kind: 'ints' as const, value: sizes } : undefined;
      fork.setAttribute(id, at.attribute, kind ?? { kind: 'int', value: first });
      continue;
    }
    const name = fork.freshValue(`${id}/sizes`);
    fork.setInitializer(int64Tensor(name, sizes));
    const inputs = [...fork.node(id)!.inputs];
    while (inputs.length <= at.input) inputs.push('');
    inputs[at.input] = name;
    const attributes = new Map(fork.node(id)!.attributes);
    attributes.delete('num_outputs');
    fork.replace(id, { inputs, attributes });
  }
  fork.dropValueInfos(() => false);
  return fork;
}

/** That every shape follows, and the outputs keep theirs. */
function expectConsistent(before: Graph, after: Graph): void {
  const [was, is] = [factsOf(before), factsOf(after)];
  expect(is.problems).toEqual(was.problems);
  for (const { name } of before.outputs)
    expect(is.value(name).shape).toEqual(was.value(name).shape);
  for (const { outputs } of after.order)
    for (const name of outputs)
      expect(is.value(name).shape?.length, name).toEqual(was.value(name).shape?.length);
}

async function outputsOf(graph: Graph): Promise<number[]> {
  const file = path.join(folder, 'model.onnx');
  writeModel({ ...graph.model, opsets: new Map() }, graph.toRecord(), graph.opsets, file);
  const session = await openSession(file, { threads: 1 });
  const { shape } = factsOf(graph).value('x');
  const dims = shape as readonly number[];
  const data = Float32Array.from({ length: elementCount(dims) }, (_, i) => Math.sin(i));
  const [output] = (await session.run(new Map([['x', { type: 'float32', dims, data }]]))).values();
  await session.release();
  return Array.from(output!.values!);
}

// ---- graphs

const headed = (name: string, shape: string, order: number[]): NodeRecord[] => [
  node('MatMul', ['x', `w${name}`], [`${name}0`]),
  node('Reshape', [`${name}0`, shape], [`${name}1`]),
  node('Transpose', [`${name}1`], [name], { perm: order }),
];
const attend = (): NodeRecord[] => [
  node('MatMul', ['q', 'k'], ['s0']),
  node('Mul', ['s0', 'scale'], ['s1']),
  node('Softmax', ['s1'], ['p'], { axis: -1 }),
  node('MatMul', ['p', 'v'], ['o0']),
  node('Transpose', ['o0'], ['o1'], { perm: [0, 2, 1, 3] }),
  node('Reshape', ['o1', 'joined'], ['o2']),
  node('MatMul', ['o2', 'wo'], ['y']),
];
const SCALE = float32Tensor('scale', [0.35], []);

const CASES: Readonly<Record<string, { graph: Graph; groups: string[] }>> = {
  residual: {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a', 'ba'], ['1'], { pads: [1, 1, 1, 1] }),
        node('Relu', ['1'], ['2']),
        node('Conv', ['2', 'b'], ['3'], { pads: [1, 1, 1, 1] }),
        node('Add', ['3', '2'], ['4']),
        node('Conv', ['4', 'c'], ['y']),
      ],
      [
        weight('a', [8, 3, 3, 3]),
        weight('ba', [8]),
        weight('b', [8, 8, 3, 3]),
        weight('c', [4, 8, 1, 1]),
      ],
    ),
    groups: ['8: a.0 ba.0 b.0 | b.1 c.1', 'held 4: c.0 | '],
  },
  concat: {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('Conv', ['x', 'b'], ['2']),
        node('Concat', ['1', '2'], ['3'], { axis: 1 }),
        node('Conv', ['3', 'c'], ['y']),
      ],
      [weight('a', [4, 3, 3, 3]), weight('b', [6, 3, 3, 3]), weight('c', [5, 10, 1, 1])],
    ),
    groups: ['4: a.0 | c.1', '6: b.0 | c.1(4)', 'held 5: c.0 | '],
  },
  'depthwise with a norm': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('Conv', ['1', 'd'], ['2'], { group: 8 }),
        node('BatchNormalization', ['2', 'g', 'b', 'm', 'v'], ['3']),
        node('Clip', ['3', 'low', 'high'], ['4']),
        node('Conv', ['4', 'c'], ['y']),
      ],
      [
        ...[weight('a', [8, 3, 1, 1]), weight('d', [8, 1, 3, 3]), weight('c', [4, 8, 1, 1])],
        ...[weight('g', [8]), weight('b', [8]), weight('m', [8])],
        float32Tensor('v', [1, 2, 3, 4, 5, 6, 7, 8]),
        ...[float32Tensor('low', [0], []), float32Tensor('high', [6], [])],
      ],
    ),
    groups: ['8: a.0 d.0 g.0 b.0 m.0 v.0 | c.1', 'held 4: c.0 | '],
  },
  'depthwise that multiplies channels': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('Conv', ['1', 'd'], ['2'], { group: 4 }),
        node('Conv', ['2', 'c'], ['y']),
      ],
      [weight('a', [4, 3, 1, 1]), weight('d', [8, 1, 3, 3]), weight('c', [4, 8, 1, 1])],
    ),
    groups: ['4: a.0 d.0(0+2) | c.1(0+2)', 'held 4: c.0 | '],
  },
  grouped: {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('Conv', ['1', 'g'], ['2'], { group: 2 }),
        node('Conv', ['2', 'c'], ['y']),
      ],
      [weight('a', [8, 3, 1, 1]), weight('g', [12, 4, 3, 3]), weight('c', [4, 12, 1, 1])],
    ),
    groups: ['2: a.0(0+4) g.0(0+6) | c.1(0+6)', 'held 4: c.0 | '],
  },
  'transposed convolution': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('ConvTranspose', ['1', 't', 'bt'], ['2'], { strides: [2, 2] }),
        node('Conv', ['2', 'c'], ['y']),
      ],
      [
        weight('a', [8, 3, 1, 1]),
        weight('t', [8, 6, 2, 2]),
        weight('bt', [6]),
        weight('c', [4, 6, 1, 1]),
      ],
    ),
    groups: ['8: a.0 | t.0', '6: t.1 bt.0 | c.1', 'held 4: c.0 | '],
  },
  'flatten to a layer': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('MaxPool', ['1'], ['2'], { kernel_shape: [2, 2], strides: [2, 2] }),
        node('Flatten', ['2'], ['3']),
        node('Gemm', ['3', 'f', 'bf'], ['y'], { transB: 1 }),
      ],
      [weight('a', [4, 3, 3, 3]), weight('f', [5, 36]), weight('bf', [5])],
    ),
    groups: ['4: a.0 | f.1(0+9)', 'held 5: f.0 bf.0 | '],
  },
  'flatten with channels last': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1'], { strides: [4, 4] }),
        node('Transpose', ['1'], ['2'], { perm: [0, 2, 3, 1] }),
        node('Flatten', ['2'], ['3']),
        node('Gemm', ['3', 'f'], ['y']),
      ],
      [weight('a', [4, 3, 3, 3]), weight('f', [16, 5])],
    ),
    groups: ['4: a.0 | f.0(0,4,8,12)', 'held 5: f.1 | '],
  },
  'attention heads': {
    graph: graphOf(
      TOKENS,
      [
        ...headed('q', 'split', [0, 2, 1, 3]),
        ...headed('k', 'split', [0, 2, 3, 1]),
        ...headed('v', 'split', [0, 2, 1, 3]),
        ...attend(),
      ],
      [
        ...['wq', 'wk', 'wv'].map((name, i) => weight(name, [16, 24], i + 1)),
        ...[weight('wo', [24, 16], 7), SCALE],
        ...[ints('split', [1, 6, 3, 8]), ints('joined', [0, 0, 24])],
      ],
    ),
    groups: ['3: wq.1(0+8) wk.1(0+8) wv.1(0+8) | wo.0(0+8)', 'held 16: wo.1 | '],
  },
  'attention with packed query, key and value': {
    graph: graphOf(
      TOKENS,
      [
        node('MatMul', ['x', 'w'], ['1']),
        node('Add', ['1', 'b'], ['2']),
        node('Reshape', ['2', 'split'], ['3']),
        node('Transpose', ['3'], ['4'], { perm: [2, 0, 3, 1, 4] }),
        node('Gather', ['4', 'i0'], ['q']),
        node('Gather', ['4', 'i1'], ['k0']),
        node('Gather', ['4', 'i2'], ['v']),
        node('Transpose', ['k0'], ['k'], { perm: [0, 1, 3, 2] }),
        ...attend(),
      ],
      [
        ...[weight('w', [16, 48]), weight('b', [48]), weight('wo', [16, 16], 7), SCALE],
        ...[0, 1, 2].map((i) => int64Tensor(`i${i}`, [i], [])),
        ...[ints('split', [1, 6, 3, 2, 8]), ints('joined', [1, -1, 16])],
      ],
    ),
    groups: ['2: w.1(0+8,16+8,32+8) b.0(0+8,16+8,32+8) | wo.0(0+8)', 'held 16: wo.1 | '],
  },
  'gated layers': {
    graph: graphOf(
      TOKENS,
      [
        node('MatMul', ['x', 'g'], ['1']),
        node('MatMul', ['x', 'u'], ['2']),
        node('Sigmoid', ['1'], ['3']),
        node('Mul', ['1', '3'], ['4']),
        node('Mul', ['4', '2'], ['5']),
        node('MatMul', ['5', 'd'], ['y']),
      ],
      [weight('g', [16, 20]), weight('u', [16, 20], 2), weight('d', [20, 16], 3)],
    ),
    groups: ['20: g.1 u.1 | d.0', 'held 16: d.1 | '],
  },
  'gated layers in one product': {
    graph: graphOf(
      TOKENS,
      [
        node('MatMul', ['x', 'gu'], ['1']),
        node('Split', ['1'], ['2', '3'], { axis: -1 }),
        node('Mul', ['2', '3'], ['4']),
        node('MatMul', ['4', 'd'], ['y']),
      ],
      [weight('gu', [16, 40]), weight('d', [20, 16], 3)],
    ),
    groups: ['20: gu.1(0,20) | d.0', 'held 16: d.1 | '],
  },
  'parts cut out': {
    graph: graphOf(
      TOKENS,
      [
        node('MatMul', ['x', 'a'], ['1']),
        node('Slice', ['1', 's0', 's1', 'axes'], ['2']),
        node('Slice', ['1', 's1', 's2', 'axes'], ['3']),
        node('MatMul', ['2', 'b'], ['4']),
        node('MatMul', ['3', 'c'], ['5']),
        node('Add', ['4', '5'], ['y']),
      ],
      [
        ...[weight('a', [16, 12]), weight('b', [4, 16], 2), weight('c', [8, 16], 3)],
        ...[ints('s0', [0]), ints('s1', [4]), ints('s2', [1000]), ints('axes', [-1])],
      ],
    ),
    groups: ['4: a.1 | b.0', '8: a.1(4) | c.0', 'held 16: b.1 c.1 | '],
  },
  'a transposed weight that is read twice': {
    graph: graphOf(
      TOKENS,
      [
        node('MatMul', ['x', 'a'], ['1']),
        node('Transpose', ['a'], ['t'], { perm: [1, 0] }),
        node('Relu', ['1'], ['2']),
        node('MatMul', ['2', 't'], ['y']),
      ],
      [weight('a', [16, 12])],
    ),
    groups: ['held 16: a.0 | a.0', '12: a.1 | a.1'],
  },
  'a shape computed of the input': {
    graph: graphOf(
      IMAGE,
      [
        node('Conv', ['x', 'a'], ['1']),
        node('Shape', ['1'], ['s']),
        node('Slice', ['s', 'zero', 'two'], ['s2']),
        node('Concat', ['s2', 'rest'], ['target'], { axis: 0 }),
        node('Reshape', ['1', 'target'], ['2']),
        node('Transpose', ['2'], ['3'], { perm: [0, 2, 1] }),
        node('MatMul', ['3', 'b'], ['y']),
      ],
      [
        weight('a', [4, 3, 1, 1]),
        weight('b', [4, 5]),
        ints('zero', [0]),
        ints('two', [2]),
        ints('rest', [-1]),
      ],
    ),
    groups: ['4: a.0 | b.0', 'held 5: b.1 | '],
  },
};

describe('groups', () => {
  it.each(Object.entries(CASES))('%s', (_, { graph, groups }) => {
    expect(groupsOf(graph).map(summary)).toEqual(groups);
  });

  it.each(Object.entries(CASES))('of %s keep the graph whole without a unit', (_, { graph }) => {
    for (const group of groupsOf(graph).filter(({ prunable }) => prunable))
      for (const unit of new Set([0, group.units - 1]))
        expectConsistent(graph, pruned(graph, group, unit));
  });

  it.each(Object.entries(CASES))('of %s leave what nothing reads', async (_, { graph }) => {
    for (const group of groupsOf(graph).filter(({ prunable }) => prunable)) {
      const deaf = graph.fork();
      edit(deaf, group.consumers, 1, 'zero');
      const [expected, actual] = [await outputsOf(deaf), await outputsOf(pruned(graph, group, 1))];
      expect(actual.length).toBe(expected.length);
      actual.forEach((number, i) => expect(number).toBeCloseTo(expected[i]!, 3));
    }
  });
});

describe('what is not understood holds channels', () => {
  const between = (nodes: readonly NodeRecord[], more: readonly Tensor[] = []) =>
    graphOf(
      TOKENS,
      [node('MatMul', ['x', 'a'], ['1']), ...nodes, node('MatMul', ['2', 'b'], ['y'])],
      [weight('a', [16, 16]), weight('b', [16, 4], 2), ...more],
    );
  it.each<[string, Graph, string, RegExp]>([
    [
      'softmax over channels',
      between([node('Softmax', ['1'], ['2'])]),
      'Softmax',
      /along this axis/,
    ],
    [
      'sums of channels',
      between(
        [node('ReduceSum', ['1', 'last'], ['s']), node('Div', ['1', 's'], ['2'])],
        [ints('last', [-1])],
      ),
      'ReduceSum',
      /sums over/,
    ],
    [
      'another domain',
      between([node('Relu', ['1'], ['2'], {}, '', 'elsewhere')]),
      'Relu',
      /not understood/,
    ],
    [
      'an operator without a rule',
      between([node('LRN', ['1'], ['2'], { size: 3 })]),
      'LRN',
      /not understood/,
    ],
    [
      'single channels',
      between(
        [node('Gather', ['1', 'order'], ['2'], { axis: 2 })],
        [ints('order', [...Array(16).keys()].reverse())],
      ),
      'Gather',
      /by their number/,
    ],
    [
      'a weight that is computed with',
      between(
        [
          node('Tile', ['a', 'once'], ['t']),
          node('Shape', ['t'], ['s']),
          node('Cast', ['s'], ['f'], { to: 1 }),
          node('ReduceSum', ['f'], ['n'], { keepdims: 0 }),
          node('Mul', ['1', 'n'], ['2']),
        ],
        [ints('once', [1, 1])],
      ),
      'ReduceSum',
      /size of channels/,
    ],
    [
      'a number of channels',
      between(
        [
          node('Shape', ['1'], ['s']),
          node('Cast', ['s'], ['f'], { to: 1 }),
          node('Gather', ['f', 'last'], ['n']),
          node('Div', ['1', 'n'], ['2']),
        ],
        [ints('last', [2])],
      ),
      'Div',
      /size of channels/,
    ],
    [
      'channels across tokens',
      between(
        [node('Reshape', ['1', 'odd'], ['r']), node('Reshape', ['r', 'back'], ['2'])],
        [ints('odd', [1, 16, 6]), ints('back', [1, 6, 16])],
      ),
      'Reshape',
      /across channels/,
    ],
  ])('%s', (_, graph, op, reason) => {
    const first = groupsOf(graph).find(({ producers }) => producers.some((p) => p.value === 'a'));
    if (!first || first.prunable) throw new Error('nothing is held');
    expect(graph.node(first.node)?.op).toBe(op);
    expect(first.reason).toMatch(reason);
  });

  it('that a body of another node captures', () => {
    const body = {
      name: 'body',
      nodes: [node('Relu', ['1'], ['r'])],
      initializers: [],
      inputs: [],
      outputs: [value('r')],
      valueInfos: [],
      carried: [],
    };
    const graph = between(
      [node('If', ['yes'], ['2'], { then_branch: body, else_branch: body })],
      [makeTensor('yes', 'bool', [], Uint8Array.of(1))],
    );
    expect(groupsOf(graph).filter(({ prunable }) => prunable)).toEqual([]);
  });
});

describe('models', () => {
  const sample = (name: string) =>
    Graph.of(readModelFile(path.join(import.meta.dirname, '../../../../templates/samples', name)));
  const count = (groups: readonly ChannelGroup[]) => {
    const counts = new Map<string, number>();
    for (const { units, prunable } of groups) {
      const key = `${prunable ? '' : 'held '}${units}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return Object.fromEntries(counts);
  };

  it.each([
    // a stream and three hidden widths for each of three stages, and the classes
    ['shapes-resnet.onnx', { 16: 4, 32: 4, 64: 4, 'held 16': 1 }],
    // the stream; for each of eight blocks three heads and the hidden width; and the classes
    ['shapes-vit.onnx', { 96: 1, 3: 8, 192: 8, 'held 16': 1 }],
    // the stream; for each of six layers two key heads with three query heads each, and the hidden width
    ['text-llama.onnx', { 96: 1, 2: 6, 160: 6, 'held 96': 1 }],
  ])('%s', (name, expected) => {
    const graph = sample(name);
    const groups = groupsOf(graph);
    expect(count(groups)).toEqual(expected);
    const kinds = new Map(groups.filter((g) => g.prunable).map((group) => [group.units, group]));
    for (const group of kinds.values()) expectConsistent(graph, pruned(graph, group, 1));
  });
});
