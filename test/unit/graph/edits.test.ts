import { describe, expect, it } from 'vitest';
import { captures, Graph, type Node } from '../../../language/graph/graph';
import type { GraphRecord } from '../../../language/onnx/model';
import { makeModel, node, value, weight } from '../../models';

/** Repeatable numbers below a bound. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const body = (captured: string): GraphRecord =>
  makeModel({
    inputs: [],
    outputs: [value('inner')],
    nodes: [node('Add', [captured, 'w0'], ['inner'])],
  }).graph;

/** Layers that read what was made before, now and then through a body, and two that make the same value. */
function start(seed: number): Graph {
  const below = numbers(seed);
  const values = ['x', 'w0', 'w1'];
  const pick = () => values[below(values.length)]!;
  const nodes = Array.from({ length: 20 }, (_, i) => {
    const output = i === 13 ? 'v7' : `v${i}`;
    const made =
      i % 6 === 5
        ? node('If', [pick()], [output], { then_branch: body(pick()), else_branch: body(pick()) })
        : node('Add', [pick(), pick()], [output]);
    values.push(output);
    return made;
  });
  const weights = [weight('w0', [2]), weight('w1', [2])];
  return Graph.of(
    makeModel({ inputs: [value('x', [2])], outputs: [value('v19')], nodes, weights }),
  );
}

/** The index as it follows from the nodes alone. */
function rebuilt(graph: Graph) {
  const producers = new Map<string, Set<string>>();
  const consumers = new Map<string, Set<string>>();
  const note = (map: Map<string, Set<string>>, name: string, id: string) => {
    if (name !== '') map.set(name, (map.get(name) ?? new Set()).add(id));
  };
  for (const each of graph.order) {
    for (const output of each.outputs) note(producers, output, each.id);
    for (const read of [...each.inputs, ...captures(each)]) note(consumers, read, each.id);
  }
  return { producers, consumers };
}

function expectTrueIndex(graph: Graph, everNamed: Iterable<string>): void {
  const { producers, consumers } = rebuilt(graph);
  expect(graph.order).toHaveLength(graph.size);
  for (const name of [...everNamed, ...producers.keys(), ...consumers.keys()]) {
    const made = producers.get(name) ?? new Set();
    const producer = graph.producer(name);
    expect(producer === undefined, `producer of ${name}`).toBe(made.size === 0);
    if (producer) expect(made).toContain(producer.id);
    const readers = graph.consumers(name).map(({ id }) => id);
    expect(new Set(readers), `readers of ${name}`).toEqual(consumers.get(name) ?? new Set());
    expect(readers, `readers of ${name}, each once`).toHaveLength(new Set(readers).size);
    for (const id of readers) expect(graph.node(id)).toBeDefined();
  }
  for (const each of graph.order) expect(graph.node(each.id)).toBe(each);
  if (!graph.cycle) expectProducersFirst(graph);
}

function expectProducersFirst(graph: Graph): void {
  const done = new Set<Node>();
  for (const each of graph.order) {
    for (const read of [...each.inputs, ...captures(each)]) {
      const producer = graph.producer(read);
      if (producer) expect(done, `${read} is made before ${each.id} reads it`).toContain(producer);
    }
    done.add(each);
  }
}

/** One edit, chosen at random among all that there are. */
function edit(graph: Graph, below: (n: number) => number, named: string[]): void {
  const nodes = [...graph.order];
  if (nodes.length === 0) return;
  const one: Node = nodes[below(nodes.length)]!;
  const some = () => named[below(named.length)]!;
  const fresh = () => {
    const name = graph.freshValue('n');
    named.push(name);
    return name;
  };
  const edits: (() => void)[] = [
    () => graph.insert({ op: 'Relu', inputs: [some()], outputs: [fresh()] }, one),
    () => graph.remove(one.id),
    () => graph.replace(one.id, { op: 'Mul', inputs: [some(), some(), ''] }),
    () => graph.replace(one.id, { outputs: [some(), fresh()] }),
    () => graph.replace(one.id, { assigned: 'elsewhere' }),
    () => graph.setAttribute(one.id, 'alpha', { kind: 'float', value: below(9) }),
    () => graph.setAttribute(one.id, 'then_branch', { kind: 'graph', value: body(some()) }),
    () => graph.setInput(one.id, below(2), some()),
    () => graph.rewire(some(), some()),
    () => graph.rewire(some(), some(), ({ id }) => id.length % 2 === 0),
    () => graph.renameOutput(one.id, one.outputs[0] ?? '', fresh()),
    () => graph.renameOutput(one.id, one.outputs[0] ?? '', some()),
    () => graph.setInitializer(weight(fresh(), [2])),
    () => graph.removeUnused(named),
  ];
  edits[below(edits.length)]!();
}

const state = (graph: Graph) => ({
  nodes: [...graph.order].map((each) => [each.id, each.inputs, each.outputs, each.attributes]),
  initializers: [...graph.initializers.keys()],
  record: graph.toRecord(),
});

describe('random edits', () => {
  it.each(Array.from({ length: 25 }, (_, i) => i + 1))('keep the index true (seed %i)', (seed) => {
    const below = numbers(seed);
    const named = ['x', 'w0', 'w1', ...Array.from({ length: 20 }, (_, i) => `v${i}`)];
    const graph = start(seed);
    expectTrueIndex(graph, named);
    for (let step = 0; step < 60; step++) edit(graph, below, named);
    expectTrueIndex(graph, named);
    for (const { id } of [...graph.order]) {
      graph.remove(id);
      if (graph.size % 5 === 0) expectTrueIndex(graph, named);
    }
    expect(graph.size).toBe(0);
  });

  it.each([1, 2, 3, 4, 5])('of a fork leave the other alone, both ways (seed %i)', (seed) => {
    const below = numbers(seed);
    const named = ['x', 'w0', 'w1', ...Array.from({ length: 20 }, (_, i) => `v${i}`)];
    const first = start(seed);
    for (let step = 0; step < 5; step++) edit(first, below, named);
    const second = first.fork();
    const third = second.fork();
    const before = state(first);
    for (let step = 0; step < 30; step++) edit(second, below, named);
    expect(state(first)).toEqual(before);
    expect(state(third)).toEqual(before);
    const after = state(second);
    for (let step = 0; step < 30; step++) edit(first, below, named);
    expect(state(second)).toEqual(after);
    expect(state(third)).toEqual(before);
    for (const graph of [first, second, third]) expectTrueIndex(graph, named);
  });
});

describe('edits that are refused', () => {
  it('are those of nodes that are not there, and second producers', () => {
    const graph = start(1);
    expect(() => graph.remove('nobody')).toThrow(/no node nobody/);
    const near = graph.order[0]!;
    expect(() => graph.insert({ op: 'Relu', inputs: ['x'], outputs: ['v3'] }, near)).toThrow(/v3/);
  });
});

describe('the producer of a value that two nodes make', () => {
  it('is the first, and when that goes the second', () => {
    const graph = start(1);
    const [first, second] = graph.order.filter(({ outputs }) => outputs.includes('v7'));
    expect(graph.producer('v7')?.id).toBe(first!.id);
    graph.remove(first!.id);
    expect(graph.producer('v7')?.id).toBe(second!.id);
    graph.remove(second!.id);
    expect(graph.producer('v7')).toBeUndefined();
  });
});
