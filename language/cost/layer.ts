/**
 * One layer: measured as an operator, or through the graphs inside it: bodies of If, Loop and Scan, functions of the
 * model. A body costs as often as it runs; an If costs its dearest branch, which is what a deadline has to allow for.
 */
import type { Facts, InnerFacts, ValueFacts } from '../graph/facts';
import { captures, type Node } from '../graph/graph';
import { WhittleError } from '../errors';
import { LEFT_OUT, linksOf, type Links } from '../graph/links';
import type { FunctionRecord, Tensor } from '../onnx/model';
import type { ElementType } from '../onnx/schema';
import { elementCount, tensorNumbers } from '../onnx/tensor';
import { Constants, type Scope } from './constants';
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

/** The nodes of a graph or a body, and what is known of their values. */
export interface Surroundings {
  readonly nodes: readonly Node[];
  readonly links: Links;
  readonly facts: Facts;
  /** The facts of each value, by its number. */
  readonly values: readonly ValueFacts[];
  readonly constants: Constants;
  /** Operators that the model defines itself. */
  readonly functions: readonly FunctionRecord[];
}

interface Measured {
  readonly values: Values;
  readonly measure: Measure;
}
const measures = new WeakMap<Node, Measured>();

/** Measures the node at a place, or takes what was measured before while nothing around it has changed. */
export function measureLayer(at: number, around: Surroundings): Measure {
  const { nodes, links, facts, values: known, constants } = around;
  const node = nodes[at]!;
  const all = links.reads[at]!;
  const reads = all.length > node.inputs.length ? all.slice(0, node.inputs.length) : all;
  const writes = links.writes[at]!;
  if (writes.length > 0 && writes.every((value) => value === LEFT_OUT || constants.of(value)))
    return FREE;
  const bodies = facts.inner(node);
  if (bodies.length > 0) return measureControl(node, bodies, around);
  const before = measures.get(node);
  const inputBits = node.op === 'MatMulInteger' ? clippedBits(reads[0]!, around) : undefined;
  if (
    before &&
    before.values.inputBits === inputBits &&
    holds(before.values, reads, writes, around)
  )
    return before.measure;
  const values = {
    inputs: reads.map((value) => known[value]!),
    outputs: writes.map((value) => known[value]!),
    constants: reads.map((value) => constants.of(value)),
    codes: reads.map((value) => codeType(value, around)),
    inputBits,
  };
  const measured = { values, measure: measure(node, values) };
  measures.set(node, measured);
  return measured.measure;
}

/** Whether all that a measure rests on is as it was. */
function holds(
  before: Values,
  reads: readonly number[],
  writes: readonly number[],
  around: Surroundings,
): boolean {
  const { values, constants } = around;
  for (let i = 0; i < reads.length; i++) {
    const value = reads[i]!;
    if (before.inputs[i] !== values[value]) return false;
    if (before.constants[i] !== constants.of(value)) return false;
    if (before.codes[i] !== codeType(value, around)) return false;
  }
  for (let i = 0; i < writes.length; i++)
    if (before.outputs[i] !== values[writes[i]!]) return false;
  return true;
}

/** The type of the codes that a DequantizeLinear turns into an activation. */
export function codeType(
  value: number,
  { nodes, links, values }: Pick<Surroundings, 'nodes' | 'links' | 'values'>,
): ElementType | undefined {
  const at = links.makers[value]!;
  if (at === -1 || nodes[at]!.op !== 'DequantizeLinear') return undefined;
  const { type } = values[links.reads[at]![0] ?? LEFT_OUT]!;
  return type.kind === 'tensor' && isCode(type.elementType) ? type.elementType : undefined;
}

/**
 * Bits of the codes in bytes that an integer product reads, by the limits that they are held to before they become bytes:
 * Max, Min, perhaps a shift, Cast.
 */
function clippedBits(
  value: number,
  { nodes, links, constants }: Pick<Surroundings, 'nodes' | 'links' | 'constants'>,
): 4 | 8 {
  const makerOf = (made: number | undefined, op: string) => {
    const at = made === undefined ? -1 : links.makers[made]!;
    return at !== -1 && nodes[at]!.op === op ? links.reads[at]! : [];
  };
  const numberIn = (value: number | undefined): number => {
    const tensor = value === undefined ? undefined : constants.of(value)?.stored[0]?.tensor;
    if (!tensor || elementCount(tensor.dims) !== 1) return NaN;
    try {
      return tensorNumbers(tensor)[0]!;
    } catch (error) {
      if (error instanceof WhittleError) return NaN; // its file is absent
      throw error;
    }
  };
  const [real] = makerOf(value, 'Cast');
  const [within] = makerOf(real, 'Add');
  const [above, most] = makerOf(within ?? real, 'Min');
  const [, least] = makerOf(above, 'Max');
  return numberIn(most) - numberIn(least) < 16 ? 4 : 8;
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
  const links = linksOf(nodes, captures, []);
  const values = links.names.map((name) => facts.value(name));
  const around: Surroundings = {
    nodes,
    links,
    facts,
    values,
    constants: Constants.of({ nodes, links, values, ...namedIn(node, inner, outer) }),
    functions: outer.functions,
  };
  return {
    times: inner.times,
    measures: nodes.map(({ op }, at) => ({ ...measureLayer(at, around), op })),
  };
}

/** A subgraph sees the constants around it by their names; a function those that it is passed, by names of its own. */
function namedIn(
  node: Node,
  { attribute }: InnerFacts,
  outer: Surroundings,
): Pick<Scope, 'tensor' | 'outer'> {
  const value = node.attributes.get(attribute)?.value;
  const body = value?.kind === 'graph' ? value.value : undefined;
  const tensors = new Map<string, Tensor>(body?.initializers.map((t) => [t.name, t]));
  const parameters = body ? body.inputs.map((input) => input.name) : calledFunction(node, outer);
  const outside = (name: string) => outer.constants.of(outer.links.numberOf(name) ?? LEFT_OUT);
  return {
    tensor: (name) => tensors.get(name),
    outer: (name) => {
      const position = parameters.indexOf(name);
      if (body) return position < 0 ? outside(name) : undefined;
      return outside(node.inputs[position] ?? '');
    },
  };
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
