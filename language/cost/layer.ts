/**
 * One layer: measured as an operator, or through the graphs inside it: bodies of If, Loop and Scan, functions of the
 * model. A body costs as often as it runs; an If costs its dearest branch, which is what a deadline has to allow for.
 */
import type { Facts, InnerFacts } from '../graph/facts';
import type { Node } from '../graph/graph';
import type { FunctionRecord, Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { Constants, type Constant } from './constants';
import {
  FREE,
  isCode,
  measure,
  sum,
  unknown,
  type Measure,
  type TensorRead,
  type Values,
} from './measure';
import type { Part, Workload } from './workload';

/** Where a node stands: what is known of its values. */
export interface Surroundings {
  readonly facts: Facts;
  readonly constants: Constants;
  /** Operators that the model defines itself. */
  readonly functions: readonly FunctionRecord[];
  /** The type of the codes behind a value that a DequantizeLinear makes of activations. */
  quantisedType(value: string): ElementType | undefined;
}

interface Measured {
  readonly values: Values;
  readonly measure: Measure;
}
const measures = new WeakMap<Node, Measured>();

/** Measures a node, or takes what was measured before while nothing around it has changed. */
export function measureLayer(node: Node, around: Surroundings): Measure {
  const { facts, constants } = around;
  if (node.outputs.length > 0 && node.outputs.every((output) => !output || constants.of(output)))
    return FREE;
  const bodies = facts.inner(node);
  if (bodies.length > 0) return measureControl(node, bodies, around);
  const known = measures.get(node);
  if (known && holds(known.values, node, around)) return known.measure;
  const value = (name: string) => facts.value(name);
  const values = {
    inputs: node.inputs.map(value),
    outputs: node.outputs.map(value),
    constants: node.inputs.map((name) => constantAt(name, constants)),
    codes: node.inputs.map((name) => around.quantisedType(name)),
  };
  const measured = { values, measure: measure(node, values) };
  measures.set(node, measured);
  return measured.measure;
}

/** Whether all that a measure rests on is as it was. */
function holds(known: Values, { inputs, outputs }: Node, around: Surroundings): boolean {
  const { facts, constants } = around;
  for (let i = 0; i < inputs.length; i++) {
    const name = inputs[i]!;
    if (known.inputs[i] !== facts.value(name)) return false;
    if (known.constants[i] !== constantAt(name, constants)) return false;
    if (known.codes[i] !== around.quantisedType(name)) return false;
  }
  for (let i = 0; i < outputs.length; i++)
    if (known.outputs[i] !== facts.value(outputs[i]!)) return false;
  return true;
}

const constantAt = (name: string, constants: Constants): Constant | undefined =>
  name === '' ? undefined : constants.of(name);

/** The type of the codes that a DequantizeLinear turns into an activation. */
export function quantisedType(producer: Node | undefined, facts: Facts): ElementType | undefined {
  if (producer?.op !== 'DequantizeLinear') return undefined;
  const { type } = facts.value(producer.inputs[0] ?? '');
  return type.kind === 'tensor' && isCode(type.elementType) ? type.elementType : undefined;
}

interface Body {
  readonly times: number | null;
  readonly measures: readonly (Measure & { readonly op: string })[];
}

function measureControl(node: Node, inner: readonly InnerFacts[], around: Surroundings): Measure {
  const bodies = inner.map((body) => measureBody(node, body, around));
  const run = node.op === 'If' && node.domain === '' ? dearest(bodies) : bodies;
  const reads = bodies.flatMap((body) => body.measures.flatMap((measure) => measure.reads));
  if (run.some((body) => body.times === null && body.measures.some(costs)))
    return { ...unknown('control', 'how often its body runs depends on the data'), reads };
  const parts = run.flatMap(({ times, measures }) =>
    measures.filter(costs).map(({ op, workload }): Part => ({ op, times: times ?? 0, workload })),
  );
  return { workload: total(parts, reads), reads };
}

const costs = ({ workload }: Measure): boolean => workload.kind !== 'free';

function dearest(branches: readonly Body[]): Body[] {
  const weight = (body: Body) =>
    body.measures.reduce(
      (all, { workload }) => all + (workload.macs ?? 0) + (workload.ops ?? 0),
      0,
    );
  const [first, ...others] = branches.filter(({ times }) => times !== 0);
  if (!first) return [];
  const most = others.reduce((a, b) => (weight(b) > weight(a) ? b : a), first);
  return [{ ...most, times: 1 }];
}

function measureBody(node: Node, inner: InnerFacts, outer: Surroundings): Body {
  const { facts, nodes } = inner;
  const producers = new Map(nodes.flatMap((n) => n.outputs.map((output) => [output, n] as const)));
  const around: Surroundings = {
    facts,
    constants: bodyConstants(node, inner, outer),
    functions: outer.functions,
    quantisedType: (value) => quantisedType(producers.get(value), facts),
  };
  return {
    times: inner.times,
    measures: nodes.map((n) => ({ ...measureLayer(n, around), op: n.op })),
  };
}

/** A subgraph sees the constants around it by their names; a function those that it is passed, by names of its own. */
function bodyConstants(
  node: Node,
  { attribute, facts, nodes }: InnerFacts,
  outer: Surroundings,
): Constants {
  const value = node.attributes.get(attribute)?.value;
  const body = value?.kind === 'graph' ? value.value : undefined;
  const tensors = new Map<string, Tensor>(body?.initializers.map((t) => [t.name, t]));
  const parameters = body ? body.inputs.map((input) => input.name) : calledFunction(node, outer);
  return new Constants({
    nodes,
    facts,
    tensor: (name) => tensors.get(name),
    outer: (name) => {
      const position = parameters.indexOf(name);
      if (body) return position < 0 ? outer.constants.of(name) : undefined;
      return outer.constants.of(node.inputs[position] ?? '');
    },
  });
}

/** Names of the inputs of the function that a node calls. */
function calledFunction(node: Node, { functions }: Surroundings): readonly string[] {
  const called = functions.find(
    ({ name, domain, overload }) =>
      name === node.op && domain === node.domain && overload === node.overload,
  );
  return called?.inputs ?? [];
}

function total(parts: readonly Part[], reads: readonly TensorRead[]): Workload {
  const times = (of: (workload: Workload) => number | null) =>
    sum(
      parts.map(({ times, workload }) => {
        const amount = of(workload);
        return amount === null ? null : times * amount;
      }),
    );
  const unknowns = parts.flatMap(({ workload }) => workload.unknown ?? []);
  return {
    ...FREE.workload,
    kind: 'control',
    macs: times((w) => w.macs),
    ops: times((w) => w.ops),
    parts,
    parameters: reads.reduce((all, read) => all + read.parameters, 0),
    weightBytes: reads.reduce((all, read) => all + read.bytes, 0),
    weightReadBytes: times((w) => w.weightReadBytes) ?? 0,
    inputBytes: times((w) => w.inputBytes),
    outputBytes: times((w) => w.outputBytes),
    ...(unknowns[0] !== undefined && { unknown: unknowns[0] }),
  };
}
