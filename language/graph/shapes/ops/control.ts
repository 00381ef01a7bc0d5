/**
 * If, Loop and Scan. A loop is inferred once for all its runs: what a run changes about the state it carries is
 * forgotten until nothing changes any more. Where that loses a size and the number of runs is small and known, the runs
 * are followed one by one for the sake of the outputs.
 */
import type { Dim, Shape } from '../../../onnx/model';
import { fixedShape, type ValueFacts } from '../../facts';
import type { Call, Rule, Rules, Run } from '../call';
import { Impossible, unify } from '../dims';
import {
  elementTypeOf,
  joinFacts,
  joinShapes,
  sameFacts,
  scalarOf,
  sequenceOf,
  tensorOf,
  UNKNOWN,
  type Known,
} from '../values';

/** More runs than this are not followed one by one. */
const MAX_UNROLLED = 256;
/** Every round forgets something, so that few are needed; a body that needs more is not understood. */
const MAX_ROUNDS = 12;

/** A branch that cannot run on these inputs is not the one taken. */
const conditional: Rule = (call) => {
  call.input(0);
  const condition = call.numbers(0)?.[0];
  const yes = call.run('then_branch', []);
  const no = call.run('else_branch', []);
  const takesYes = condition === undefined ? yes.possible || !no.possible : condition !== 0;
  const takesNo = condition === undefined ? no.possible || !yes.possible : condition === 0;
  call.keep('then_branch', yes, takesYes ? 1 : 0);
  call.keep('else_branch', no, takesNo ? 1 : 0);
  if (!takesYes || !takesNo) return (takesYes ? yes : no).outputs;
  return call.node.outputs.map((_, i) =>
    joinFacts(yes.outputs[i] ?? UNKNOWN, no.outputs[i] ?? UNKNOWN),
  );
};

// ---- what loops share

/** State without what only holds in the first run. */
const withoutElements = (facts: ValueFacts): ValueFacts =>
  facts.type.kind === 'tensor' ? tensorOf(facts.type.elementType, facts.shape) : facts;

const joinState = (before: ValueFacts, after: ValueFacts | undefined): ValueFacts =>
  withoutElements(joinFacts(before, after ?? UNKNOWN));

/** Runs a body until its state is the same before and after. */
function settle(
  initial: readonly ValueFacts[],
  run: (state: readonly ValueFacts[]) => { run: Run; state: readonly ValueFacts[] },
): { run: Run; state: readonly ValueFacts[] } {
  let state = initial.map(withoutElements).map(withoutItems);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const after = run(state);
    const joined = state.map((facts, i) => joinState(facts, after.state[i]));
    if (joined.every((facts, i) => sameFacts(facts, state[i]!))) return { run: after.run, state };
    state = joined;
  }
  throw new Impossible('what its body carries from run to run never settles');
}

/** The length of a sequence is what loops change. */
function withoutItems(facts: Known): ValueFacts {
  if (facts.type.kind !== 'sequence' || !facts.items) return facts;
  return sequenceOf(facts.type.element);
}

function stacked(parts: readonly ValueFacts[], count: Dim, axis = 0): ValueFacts {
  const [first] = parts;
  const shape = parts.map((part) => part.shape).reduce(joinShapes);
  const at = shape && (axis < 0 ? axis + shape.length + 1 : axis);
  return tensorOf(elementTypeOf(first), shape?.toSpliced(at!, 0, count));
}

// ---- Loop

interface LoopPlan {
  /** How often the body runs at most: the trip count. */
  readonly limit: Dim;
  /** Whether nothing but the trip count ends it. */
  readonly counted: boolean;
  readonly times: number | null;
}

/** Inputs are the trip count, the condition and the state; the body returns the condition, the state and scan outputs. */
const loop: Rule = (call) => {
  const initial = call.inputs.slice(2).map((facts) => facts ?? UNKNOWN);
  const carried = initial.length;
  const iterate = (iteration: ValueFacts, state: readonly ValueFacts[]) => {
    const run = call.run('body', [iteration, scalarOf('bool', 1), ...state]);
    return { run, state: run.outputs.slice(1, 1 + carried) };
  };
  const { run, state } = settle(initial, (at) => iterate(scalarOf('int64'), at));
  const plan = planLoop(call, run.outputs[0]);
  call.keep('body', run, plan.times);
  if (plan.times === 0)
    return [...initial, ...run.outputs.slice(1 + carried).map((part) => stacked([part], 0))];
  const count = plan.counted ? plan.limit : null;
  const outputs = [
    ...state,
    ...run.outputs.slice(1 + carried).map((part) => stacked([part], count)),
  ];
  const followed = plan.times !== null && plan.times <= MAX_UNROLLED;
  return followed && outputs.some((facts) => !fixedShape(facts.shape))
    ? unroll(initial, plan.times, (at, i) => iterate(scalarOf('int64', i), at).run)
    : outputs;
};

function planLoop(call: Call, conditionAfter: ValueFacts | undefined): LoopPlan {
  const limit = call.has(0) ? call.first(0) : null;
  const before = call.has(1) ? call.known(1)?.elements[0] : 1;
  const counted = before === 1 && conditionAfter?.elements?.elements[0] === 1;
  if (before === 0 || (typeof limit === 'number' && limit <= 0))
    return { limit: 0, counted: true, times: 0 };
  return { limit, counted, times: counted && typeof limit === 'number' ? limit : null };
}

/** Follows run after run with what is known of the state at each. */
function unroll(
  initial: readonly ValueFacts[],
  times: number,
  run: (state: readonly ValueFacts[], iteration: number) => Run,
): ValueFacts[] {
  let state = initial;
  const scans: ValueFacts[][] = [];
  for (let i = 0; i < times; i++) {
    const { outputs } = run(state, i);
    state = outputs.slice(1, 1 + initial.length);
    outputs.slice(1 + initial.length).forEach((part, k) => (scans[k] ??= []).push(part));
  }
  return [...state, ...scans.map((parts) => stacked(parts, times))];
}

// ---- Scan

/** State first, then sequences that the body sees one slice of; it returns the state and slices of the outputs. */
const scan: Rule = (call) => (call.version < 9 ? batchedScan(call) : plainScan(call));

function plainScan(call: Call): ValueFacts[] {
  const inputs = call.inputs.map((facts) => facts ?? UNKNOWN);
  const carried = inputs.length - call.int('num_scan_inputs', 0);
  if (carried < 0) throw new Impossible('it scans more inputs than it has');
  const axes = call.ints('scan_input_axes');
  let length: Dim = null;
  const slices = inputs.slice(carried).map((facts, i) => {
    const rank = facts.shape?.length ?? 0;
    const axis = (axes?.[i] ?? 0) < 0 ? axes![i]! + rank : (axes?.[i] ?? 0);
    if (facts.shape) length = unify(length, facts.shape[axis] ?? null);
    return tensorOf(elementTypeOf(facts), without(facts.shape, axis));
  });
  const { run, state } = settle(inputs.slice(0, carried), (at) => {
    const done = call.run('body', [...at, ...slices]);
    return { run: done, state: done.outputs.slice(0, carried) };
  });
  call.keep('body', run, typeof length === 'number' ? length : null);
  const outputAxes = call.ints('scan_output_axes');
  const scans = run.outputs
    .slice(carried)
    .map((part, i) => stacked([part], length, outputAxes?.[i] ?? 0));
  return [...state, ...scans];
}

const without = (shape: Shape | undefined, axis: number): Shape | undefined =>
  shape?.filter((_, i) => i !== axis);

/** Opset 8: sequence lengths come first, and every value has a batch axis before all others. */
function batchedScan(call: Call): ValueFacts[] {
  const inputs = call.inputs.slice(1).map((facts) => facts ?? UNKNOWN);
  const carried = inputs.length - call.int('num_scan_inputs', 0);
  const scanned = inputs.slice(carried);
  const [batch, length] = [scanned[0]?.shape?.[0] ?? null, scanned[0]?.shape?.[1] ?? null];
  const bodyInputs = inputs.map((facts, i) =>
    tensorOf(elementTypeOf(facts), facts.shape?.slice(i < carried ? 1 : 2)),
  );
  const run = call.run('body', bodyInputs);
  const both = typeof batch === 'number' && typeof length === 'number';
  call.keep('body', run, both ? batch * length : null);
  return run.outputs.map((part, i) =>
    i < carried ? stacked([part], batch) : stacked([stacked([part], length)], batch),
  );
}

export const control: Rules = { If: conditional, Loop: loop, Scan: scan };
