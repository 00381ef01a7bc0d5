import { describe, expect, it } from 'vitest';
import { estimate } from '../../../../language/cost/estimate';
import { resolveTarget } from '../../../../language/cost/targets';
import type { Graph } from '../../../../language/graph/graph';
import type { StepRequest, TargetTraits } from '../../../../language/passes/pass';
import partition from '../../../../language/passes/target/partition';
import { makeGraph, node, value, weight, type ModelSpec } from '../../../models';
import { BUNDLED, bundled, factsOf } from '../../cost/subject';
import { run } from '../subject';

const PARAMETERS = { target: 'npu', beside: 'cpu' };

/** An accelerator that lacks some operators, and a processor that runs everything but one. */
function request(
  graph: Graph,
  lacks: readonly string[],
  msOn: Readonly<Record<string, number>> = {},
): StepRequest<typeof PARAMETERS> {
  const facts = factsOf(graph);
  const traits = (id: string): TargetTraits => ({
    id,
    granularity: { inputs: 8, outputs: 8 },
    runs: () => true,
    link: { gbPerS: 1, fixedUs: 10 },
    latencies: () => ({
      totalMs: 0,
      layersMs: new Map(graph.order.map((n) => [n.id, msOn[id] ?? 0])),
    }),
    unsupported(name) {
      const { op } = graph.node(name)!;
      const isMissing = id === 'npu' ? lacks.includes(op) : op === 'Mystery';
      return isMissing ? `${id} does not run ${op}` : undefined;
    },
  });
  const { sites } = partition.sites({ graph, facts });
  return {
    graph,
    facts,
    sites: sites.map((site) => ({ ...site, entry: 0 })),
    parameters: PARAMETERS,
    traits,
  };
}

const besideOf = (graph: Graph, lacks: readonly string[]) =>
  (partition.standIn(request(graph, lacks)) as { beside: readonly string[] }).beside;

/** Values of one size that one side makes and the other reads; inputs and outputs are the accelerator's. */
function transfers(graph: Graph, beside: ReadonlySet<string>): number {
  const values = [
    ...graph.inputs.map(({ name }) => name),
    ...graph.order.flatMap((n) => n.outputs),
  ];
  return values.filter((name) => {
    const maker = graph.producer(name);
    const isBeside = maker !== undefined && beside.has(maker.id);
    const readers = graph.consumers(name).map(({ id }) => beside.has(id));
    if (graph.isOutput(name)) readers.push(false);
    return readers.some((reader) => reader !== isBeside);
  }).length;
}

/** Chains and branches of unary and binary operators, the same on every run. */
function network(seed: number): ModelSpec {
  let state = seed * 7919 + 17;
  const next = (below: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  const values = ['x'];
  const nodes = Array.from({ length: 9 }, (_, i) => {
    const pick = () => values[Math.max(0, values.length - 1 - next(4))]!;
    const op = ['Relu', 'Sin', 'Add', 'Neg', 'Mul', 'MatMul'][next(6)]!;
    const inputs =
      op === 'MatMul' ? [pick(), 'w'] : op === 'Add' || op === 'Mul' ? [pick(), pick()] : [pick()];
    values.push(`v${i}`);
    return node(op, inputs, [`v${i}`], {}, `n${i}`);
  });
  return {
    inputs: [value('x', [1, 8])],
    outputs: [value(values.at(-1)!)],
    weights: [weight('w', [8, 8])],
    nodes,
  };
}

describe('target.partition', () => {
  it.each(Array.from({ length: 25 }, (_, seed) => seed))(
    'moves as few values as any split does: network %i',
    (seed) => {
      const graph = makeGraph(network(seed));
      const beside = new Set(besideOf(graph, ['Sin']));
      const ids = graph.order.map(({ id }) => id);
      const isFixed = (id: string) => ['Sin', 'MatMul'].includes(graph.node(id)!.op);
      const free = ids.filter((id) => !isFixed(id));
      const sines = ids.filter((id) => graph.node(id)!.op === 'Sin');
      let fewest = Infinity;
      for (let split = 0; split < 2 ** free.length; split++) {
        const chosen = free.filter((_, i) => (split >> i) & 1);
        fewest = Math.min(fewest, transfers(graph, new Set([...sines, ...chosen])));
      }
      expect(sines.every((id) => beside.has(id))).toBe(true);
      expect(ids.some((id) => graph.node(id)!.op === 'MatMul' && beside.has(id))).toBe(false);
      expect(transfers(graph, beside)).toBe(fewest);
    },
  );

  it('prefers the accelerator where it makes no difference', () => {
    const graph = makeGraph(network(3));
    expect(besideOf(graph, [])).toEqual([]);
  });

  it('takes the faster side where as many values move, and no more of them for speed', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 8])],
      outputs: [value('y')],
      weights: [weight('w', [8, 8])],
      nodes: [
        node('MatMul', ['x', 'w'], ['a'], {}, 'product'),
        node('Neg', ['a'], ['b'], {}, 'before'),
        node('Sin', ['b'], ['c'], {}, 'sine'),
        node('Neg', ['c'], ['d'], {}, 'after'),
        node('MatMul', ['d', 'w'], ['e'], {}, 'last'),
        node('Neg', ['e'], ['y'], {}, 'apart'),
      ],
    });
    const beside = (msOn: Record<string, number>) => {
      const asked = request(graph, ['Sin'], msOn);
      return (partition.standIn(asked) as { beside: readonly string[] }).beside;
    };
    expect(beside({ npu: 1, cpu: 2 })).toEqual(['sine']);
    expect(beside({ npu: 2, cpu: 1 })).toEqual(['before', 'sine', 'after']);
    expect(beside({ npu: 1e6, cpu: 1e-3 })).toEqual(['before', 'sine', 'after']);
  });

  it('leaves what neither runs, and says why', () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 8])],
      outputs: [value('y')],
      nodes: [
        node('Mystery', ['x'], ['m'], {}, 'odd', 'org.example'),
        node('Relu', ['m'], ['y'], {}, 'relu'),
      ],
    });
    const asked = request(graph, ['Mystery']);
    const refused = partition.rewrite(asked, partition.standIn(asked));
    expect(refused).toEqual([
      { node: 'odd', reason: 'npu does not run Mystery, and cpu does not run Mystery' },
    ]);
    expect(graph.node('odd')!.assigned).toBeUndefined();
    expect(graph.node('relu')!.assigned).toBe('npu');
  });

  it('makes a plan that costs as the cut says, on bundled targets', async () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 16, 8, 8])],
      outputs: [value('y')],
      weights: [weight('w1', [16, 16, 1, 1]), weight('w2', [16, 16, 1, 1])],
      nodes: [
        node('Conv', ['x', 'w1'], ['c1'], {}, 'conv1'),
        node('Erf', ['c1'], ['e'], {}, 'erf'),
        node('Relu', ['e'], ['r'], {}, 'relu'),
        node('Sin', ['r'], ['s'], {}, 'sin'),
        node('Conv', ['s', 'w2'], ['y'], {}, 'conv2'),
      ],
    });
    const facts = factsOf(graph);
    const inputs = new Map([['x', [1, 16, 8, 8]]]);
    const step = {
      index: 0,
      pass: partition,
      parameters: { target: 'fpga.zcu102-dpu', beside: 'mobile.pixel3-cpu' },
      at: undefined,
      except: [],
      strict: false,
      enabled: true,
    } as unknown as Parameters<typeof run>[1][number];
    const { outcomes } = await run({ graph, facts, inputs }, [step]);
    const { situation } = outcomes[0]!;
    const assigned = situation.graph.order.map(({ id, assigned: to }) => [id, to]);
    expect(assigned).toEqual([
      ['conv1', 'fpga.zcu102-dpu'],
      ['erf', 'mobile.pixel3-cpu'],
      // A step back and forth for one Relu would be two more values to move.
      ['relu', 'mobile.pixel3-cpu'],
      ['sin', 'mobile.pixel3-cpu'],
      ['conv2', 'fpga.zcu102-dpu'],
    ]);
    const cost = estimate(situation.graph, situation.facts, bundled('fpga.zcu102-dpu'), {
      resolve: (id) => resolveTarget(id, BUNDLED),
    });
    expect(cost.transfers.count).toBe(2);
  });
});
