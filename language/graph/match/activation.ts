/**
 * Finds activation functions, as operators and as what exporters write for them. A spelled-out one is recognised by what it
 * computes rather than by its form: the few nodes around an Erf, Tanh, Sigmoid… are evaluated at some points and compared.
 */
import { floatAttribute, type Node } from '../graph';
import type { View } from './view';

export interface Activation {
  /** `gelu` also stands for its approximations by Tanh and by Sigmoid. */
  readonly kind: string;
  /** One operator, or the function that a spelled-out one is built around. */
  readonly form: 'operator' | 'erf' | 'tanh' | 'sigmoid';
  readonly input: string;
  readonly output: string;
  readonly nodes: readonly string[];
}

export interface Activations {
  readonly all: readonly Activation[];
  readonly byOutput: ReadonlyMap<string, Activation>;
}

const OPERATORS: Readonly<Record<string, string>> = {
  ...{ Gelu: 'gelu', FastGelu: 'gelu', BiasGelu: 'gelu', QuickGelu: 'gelu' },
  ...{ Swish: 'silu', Silu: 'silu', HardSwish: 'hardswish', Mish: 'mish' },
  ...{ Relu: 'relu', LeakyRelu: 'leakyrelu', PRelu: 'prelu', ThresholdedRelu: 'relu' },
  ...{ Elu: 'elu', Selu: 'selu', Celu: 'celu', Softplus: 'softplus', Softsign: 'softsign' },
  ...{ Tanh: 'tanh', Sigmoid: 'sigmoid', HardSigmoid: 'hardsigmoid', Clip: 'relu6' },
};
/** Operators that spelled-out functions are built around. */
const CENTRES = new Set(['Erf', 'Tanh', 'Sigmoid', 'HardSigmoid', 'Clip']);

type Curve = (x: number) => number;
const sigmoid: Curve = (x) => 1 / (1 + Math.exp(-x));
const softplus: Curve = (x) => Math.log1p(Math.exp(x));
const clip = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** Error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26). */
const erf: Curve = (x) => {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
};

const CURVES: readonly { kind: string; curve: Curve }[] = [
  { kind: 'gelu', curve: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)) },
  {
    kind: 'gelu',
    curve: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  },
  { kind: 'gelu', curve: (x) => x * sigmoid(1.702 * x) },
  { kind: 'silu', curve: (x) => x * sigmoid(x) },
  { kind: 'mish', curve: (x) => x * Math.tanh(softplus(x)) },
  { kind: 'hardswish', curve: (x) => (x * clip(x + 3, 0, 6)) / 6 },
  { kind: 'hardsigmoid', curve: (x) => clip(x + 3, 0, 6) / 6 },
];
const POINTS = [-3.7, -2.2, -0.9, -0.3, 0.4, 1.3, 2.6, 3.9];
/** Half precision constants are no better than this. */
const TOLERANCE = 2e-3;

/** Nodes that spelled-out functions have at most before and after their centre. */
const MOST_BEFORE = 10;
const MOST_AFTER = 10;

export function findActivations(view: View): Activations {
  const all: Activation[] = [];
  const inside = new Set<string>();
  for (const node of view.nodes) {
    if (!CENTRES.has(node.op) || view.isStatic(node.outputs[0] ?? '') || inside.has(node.id))
      continue;
    const spelled = spelledOut(view, node);
    if (!spelled) continue;
    all.push(spelled);
    for (const id of spelled.nodes) inside.add(id);
  }
  for (const node of view.nodes) {
    const kind = OPERATORS[node.op];
    const [input = ''] = node.inputs;
    if (kind === undefined || view.isStatic(input) || inside.has(node.id)) continue;
    if (node.op === 'Clip' && !clipsAtZero(view, node)) continue;
    const output = node.outputs[0] ?? '';
    all.push({ kind, form: 'operator', input, output, nodes: [node.id] });
  }
  return { all, byOutput: new Map(all.map((activation) => [activation.output, activation])) };
}

function clipsAtZero(view: View, node: Node): boolean {
  const low = view.scalar(node.inputs[1]) ?? floatAttribute(node, 'min', NaN);
  return low === 0;
}

/** A function around `centre`, if what its neighbours compute of some value is a known one. */
function spelledOut(view: View, centre: Node): Activation | undefined {
  const before = new Set<string>();
  let leaves = new Set([centre.inputs[0] ?? '']);
  for (let steps = 0; steps <= MOST_BEFORE; steps++) {
    const [input] = leaves;
    if (leaves.size === 1 && input) {
      const found = compare(view, centre, input, before);
      if (found) return found;
    }
    const latest = [...leaves].reduce((a, b) => (view.position(a) >= view.position(b) ? a : b));
    const node = view.graph.producer(latest);
    if (!node || !isArithmetic(view, node)) return undefined;
    before.add(node.id);
    leaves.delete(latest);
    leaves = new Set([...leaves, ...node.inputs.filter((value) => !isNumber(view, value))]);
  }
  return undefined;
}

/** Follows what is computed of `input` from the centre on, and stops where it is a known function of it. */
function compare(
  view: View,
  centre: Node,
  input: string,
  before: ReadonlySet<string>,
): Activation | undefined {
  const curves = new Map<string, Float64Array>([[input, Float64Array.from(POINTS)]]);
  const inOrder = [...before]
    .map((id) => view.graph.node(id)!)
    .sort((a, b) => view.position(a.outputs[0]!) - view.position(b.outputs[0]!));
  for (const node of [...inOrder, centre]) if (!evaluate(view, node, curves)) return undefined;
  const around = sideBranches(view, input, curves, before, centre);
  const nodes = [...inOrder.map((node) => node.id), centre.id];
  let output = centre.outputs[0] ?? '';
  for (let steps = 0; steps <= MOST_AFTER; steps++) {
    const kind = kindOf(curves.get(output)!);
    if (kind !== undefined) return { kind, form: formOf(centre), input, output, nodes };
    const next = view
      .readers(output)
      .find((node) => isArithmetic(view, node) && evaluate(view, node, curves));
    if (!next) return undefined;
    for (const id of around)
      if (next.inputs.includes(view.graph.node(id)!.outputs[0]!)) nodes.push(id);
    nodes.push(next.id);
    output = next.outputs[0] ?? '';
  }
  return undefined;
}

/** Half of the input, say, that a later product uses: direct readers of the input that compute with numbers alone. */
function sideBranches(
  view: View,
  input: string,
  curves: Map<string, Float64Array>,
  before: ReadonlySet<string>,
  centre: Node,
): string[] {
  return view
    .readers(input)
    .filter((node) => node.id !== centre.id && !before.has(node.id) && isArithmetic(view, node))
    .filter((node) => evaluate(view, node, curves))
    .map((node) => node.id);
}

function kindOf(values: Float64Array): string | undefined {
  const fits = (curve: Curve) =>
    POINTS.every((x, i) => Math.abs(curve(x) - values[i]!) <= TOLERANCE);
  return CURVES.find(({ curve }) => fits(curve))?.kind;
}

const formOf = (centre: Node): Activation['form'] =>
  centre.op === 'Erf' ? 'erf' : centre.op === 'Tanh' ? 'tanh' : 'sigmoid';

const isNumber = (view: View, value: string): boolean =>
  value === '' || view.scalar(value) !== undefined;

type Operation = (...x: number[]) => number;
const ARITHMETIC: Readonly<Record<string, Operation>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Neg: (a) => -a,
  Exp: (a) => Math.exp(a),
  Log: (a) => Math.log(a),
  Softplus: (a) => softplus(a),
  Cast: (a) => a,
  Identity: (a) => a,
};
const CENTRAL: Readonly<Record<string, Operation>> = {
  Erf: (a) => erf(a),
  Tanh: (a) => Math.tanh(a),
  Sigmoid: (a) => sigmoid(a),
};

/** Whether a node computes element by element, with numbers and other such results. */
const isArithmetic = (view: View, node: Node): boolean =>
  node.op in ARITHMETIC && node.inputs.some((value) => !isNumber(view, value));

/** Adds what a node computes at the points to `curves`; false where that cannot be told. */
function evaluate(view: View, node: Node, curves: Map<string, Float64Array>): boolean {
  const operation = ARITHMETIC[node.op] ?? CENTRAL[node.op] ?? limits(view, node);
  if (!operation) return false;
  const inputs = node.op === 'Clip' ? node.inputs.slice(0, 1) : node.inputs;
  const columns = inputs.map((value) => curves.get(value) ?? view.scalar(value));
  if (columns.some((column) => column === undefined)) return false;
  const at = (i: number) => columns.map((c) => (typeof c === 'number' ? c : c![i]!));
  curves.set(
    node.outputs[0] ?? '',
    Float64Array.from(POINTS, (_, i) => operation(...at(i))),
  );
  return true;
}

function limits(view: View, node: Node): Operation | undefined {
  if (node.op === 'HardSigmoid') {
    const [alpha, beta] = [floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5)];
    return (x) => clip(alpha * x + beta, 0, 1);
  }
  if (node.op !== 'Clip') return undefined;
  const low = view.scalar(node.inputs[1]) ?? floatAttribute(node, 'min', -Infinity);
  const high = view.scalar(node.inputs[2]) ?? floatAttribute(node, 'max', Infinity);
  return (x) => clip(x, low, high);
}
