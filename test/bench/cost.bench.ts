/**
 * How long costs take: whole-model estimates a second of a network of the size of ResNet-50, as it is and after an edit
 * each, and costing again after one edit of a chain of 5 000 nodes. The fastest of some runs counts; the processor time of
 * all threads is told beside edits.
 */
import path from 'node:path';
import { estimate } from '../../language/cost/estimate';
import type { TargetProfile } from '../../language/cost/profile';
import { resolveTarget } from '../../language/cost/targets';
import { bindShapes } from '../../language/graph/bindings';
import type { Graph } from '../../language/graph/graph';
import { inferShapes } from '../../language/graph/shapes/infer';
import { makeGraph, node, value, weight, type ModelSpec } from '../models';
import type { Row } from './lib/bench';

const TARGETS = ['mobile.pixel3-cpu', 'fpga.zcu102-dpu', 'asic.systolic-32x32-ws', 'reram.isaac'];
const ESTIMATES_PER_S = 2000;
const AGAIN_MS = 20;
const RUNS = 7;
/** Edits that are costed one after another; the first of them meet code that is not compiled. */
const EDITS = 40;

const factsOf = (graph: Graph) => inferShapes(graph, { inputs: bindShapes(graph, {}).inputs });

/** Blocks of three convolutions with their activations and an addition: 50 convolutions in all for 16 blocks. */
function residual(blocks: number): ModelSpec {
  const nodes = [node('Conv', ['x', 'stem'], ['v0'], {}, 'stem')];
  const weights = [weight('stem', [64, 3, 1, 1])];
  for (let block = 0; block < blocks; block++) {
    const from = `v${block}`;
    const shapes = [
      [64, 64, 1, 1],
      [64, 64, 3, 3],
      [64, 64, 1, 1],
    ];
    let last = from;
    shapes.forEach((shape, i) => {
      const name = `b${block}.${i}`;
      const pad = shape[2] === 3 ? 1 : 0;
      weights.push(weight(`${name}.w`, shape));
      nodes.push(
        node('Conv', [last, `${name}.w`], [`${name}.c`], { pads: [pad, pad, pad, pad] }, name),
        node('Relu', [`${name}.c`], [`${name}.r`], {}, `${name}.relu`),
      );
      last = `${name}.r`;
    });
    nodes.push(node('Add', [last, from], [`v${block + 1}`], {}, `b${block}.add`));
  }
  return {
    inputs: [value('x', [1, 3, 28, 28])],
    outputs: [value(`v${blocks}`)],
    weights,
    nodes,
  };
}

function fastest(run: () => void): number {
  let best = Infinity;
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

function estimatesPerSecond(target: TargetProfile): number {
  const graph = makeGraph(residual(17));
  const facts = factsOf(graph);
  const times = 200;
  const ms = fastest(() => {
    for (let i = 0; i < times; i++) estimate(graph, facts, target);
  });
  return (1000 * times) / ms;
}

interface Times {
  readonly clockMs: number;
  readonly processorMs: number;
}

/** Shapes are known already: what is timed is the cost of an edited graph, not the edit. */
function againMs(target: TargetProfile, blocks: number): Times {
  let graph = makeGraph(residual(blocks));
  let facts = factsOf(graph);
  estimate(graph, facts, target);
  let [clockMs, processorMs] = [Infinity, Infinity];
  for (let i = 0; i < EDITS; i++) {
    graph = graph.fork();
    graph.setAttribute(`b${i % blocks}.1`, 'dilations', { kind: 'ints', value: [1, 1] });
    facts = inferShapes(graph, { inputs: bindShapes(graph, {}).inputs, previous: facts });
    const [start, used] = [performance.now(), process.cpuUsage()];
    estimate(graph, facts, target);
    clockMs = Math.min(clockMs, performance.now() - start);
    const { user, system } = process.cpuUsage(used);
    processorMs = Math.min(processorMs, (user + system) / 1000);
  }
  return { clockMs, processorMs };
}

function againRow(name: string, { clockMs, processorMs }: Times, bar: number): Row {
  const note = `${processorMs.toPrecision(2)} ms of processor time`;
  return { name, value: clockMs, unit: 'ms', bar, note };
}

export default (): Row[] =>
  TARGETS.flatMap((id) => {
    const target = resolveTarget(id, path.resolve('templates/targets'));
    return [
      {
        name: `${id}: a whole-model estimate`,
        value: 1000 / estimatesPerSecond(target),
        unit: 'ms',
        bar: 1000 / ESTIMATES_PER_S,
      },
      againRow(`${id}: the same after an edit`, againMs(target, 17), 1000 / ESTIMATES_PER_S),
      againRow(`${id}: after one edit of 5 000 nodes`, againMs(target, 714), AGAIN_MS),
    ];
  });
