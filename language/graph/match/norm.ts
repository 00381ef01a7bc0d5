/** Finds normalisations: the operators, and what exporters without them write, from the mean on to scale and shift. */
import { floatAttribute, type Node } from '../graph';
import { isPassing, otherInput, type View } from './view';

export interface Parameter {
  readonly node: string;
  readonly value: string;
  readonly input: number;
}

export interface Norm {
  readonly kind: 'layer' | 'rms' | 'batch' | 'instance' | 'group';
  readonly form: 'operator' | 'decomposed';
  readonly input: string;
  readonly output: string;
  readonly scale: Parameter | undefined;
  readonly shift: Parameter | undefined;
  /** Axes that it takes mean and variance over; undefined where they are not known. A batch norm has none at inference. */
  readonly axes: readonly number[] | undefined;
  readonly epsilon: number;
  /** What is added before it normalises, and where the sum comes out, of the operators that do both. */
  readonly skip: { readonly value: string; readonly sum: string | undefined } | undefined;
  readonly nodes: readonly string[];
}

export interface Norms {
  readonly all: readonly Norm[];
  readonly byOutput: ReadonlyMap<string, Norm>;
  readonly byNode: ReadonlyMap<string, Norm>;
}

interface Spelling {
  readonly kind: Norm['kind'];
  readonly scale: number;
  readonly shift?: number;
  readonly skip?: number;
  /** Output that holds the sum of input and skip. */
  readonly sum?: number;
}
const OPERATORS: Readonly<Record<string, Spelling>> = {
  LayerNormalization: { kind: 'layer', scale: 1, shift: 2 },
  SimplifiedLayerNormalization: { kind: 'rms', scale: 1 },
  RMSNormalization: { kind: 'rms', scale: 1 },
  SkipLayerNormalization: { kind: 'layer', skip: 1, scale: 2, shift: 3, sum: 3 },
  SkipSimplifiedLayerNormalization: { kind: 'rms', skip: 1, scale: 2, sum: 3 },
  BatchNormalization: { kind: 'batch', scale: 1, shift: 2 },
  InstanceNormalization: { kind: 'instance', scale: 1, shift: 2 },
  GroupNormalization: { kind: 'group', scale: 1, shift: 2 },
  GroupNorm: { kind: 'group', scale: 1, shift: 2 },
};

export function findNorms(view: View): Norms {
  const all: Norm[] = [];
  for (const node of view.nodes) {
    if (view.isStatic(node.outputs[0] ?? '')) continue;
    const norm = operatorNorm(view, node) ?? decomposedNorm(view, node);
    if (norm) all.push(norm);
  }
  return {
    all,
    byOutput: new Map(all.map((norm) => [norm.output, norm])),
    byNode: new Map(all.flatMap((norm) => norm.nodes.map((id) => [id, norm] as const))),
  };
}

function operatorNorm(view: View, node: Node): Norm | undefined {
  const spelling = OPERATORS[node.op];
  if (!spelling) return undefined;
  const parameter = (input: number | undefined): Parameter | undefined => {
    const value = input === undefined ? undefined : node.inputs[input];
    return value ? { node: node.id, value, input: input! } : undefined;
  };
  const { skip, sum } = spelling;
  const skipped = skip === undefined ? undefined : node.inputs[skip];
  const own: Norm = {
    kind: spelling.kind,
    form: 'operator',
    input: node.inputs[0] ?? '',
    output: node.outputs[0] ?? '',
    scale: parameter(spelling.scale),
    shift: parameter(spelling.shift),
    axes: operatorAxes(view, node, spelling.kind),
    epsilon: floatAttribute(node, 'epsilon', 1e-5),
    skip: skipped === undefined ? undefined : { value: skipped, sum: node.outputs[sum!] },
    nodes: [node.id],
  };
  return own.kind === 'instance' ? (groupAround(view, node, own) ?? own) : own;
}

function operatorAxes(view: View, node: Node, kind: Norm['kind']): readonly number[] | undefined {
  const rank = view.rank(node.inputs[0] ?? '');
  if (kind === 'batch') return [];
  if (rank === undefined) return undefined;
  const first =
    kind === 'layer' || kind === 'rms'
      ? (view.axis(node, -1) ?? rank - 1)
      : kind === 'group'
        ? 1
        : 2;
  return Array.from({ length: Math.max(0, rank - first) }, (_, i) => first + i);
}

/** Exporters write a group norm as an instance norm over reshaped groups, with scale and shift behind it. */
function groupAround(view: View, node: Node, own: Norm): Norm | undefined {
  const before = view.maker(own.input);
  const after = view.onlyReader(own.output);
  if (before?.op !== 'Reshape' || after?.op !== 'Reshape') return undefined;
  const input = before.inputs[0] ?? '';
  const affine = scaleAndShift(view, after.outputs[0] ?? '');
  return {
    ...own,
    kind: 'group',
    input,
    ...affine,
    axes: view.rank(input) === undefined ? undefined : range(1, view.rank(input)!),
    nodes: [before.id, node.id, after.id, ...affine.nodes],
  };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Decomposed ones are found at the mean of the squares. */
function decomposedNorm(view: View, mean: Node): Norm | undefined {
  if (mean.op !== 'ReduceMean' && mean.op !== 'GlobalAveragePool') return undefined;
  const squared = view.source(mean.inputs[0] ?? '');
  const square = view.graph.producer(squared);
  const deviation = square ? squaredValue(view, square) : undefined;
  if (!square || deviation === undefined) return undefined;
  const root = rootOf(view, mean.outputs[0] ?? '');
  if (!root) return undefined;
  const centring = centredValue(view, deviation);
  const quotient = quotientOf(view, root, deviation, centring?.copies ?? []);
  const affine = quotient
    ? scaleAndShift(view, quotient.output)
    : centring && foldedAffine(view, root, centring);
  if (!affine) return undefined;
  const input = centring?.input ?? deviation;
  return {
    kind: centring ? 'layer' : 'rms',
    form: 'decomposed',
    input,
    ...affine,
    axes: view.axes(mean),
    epsilon: root.epsilon,
    skip: undefined,
    nodes: unique([
      ...(centring?.nodes ?? []),
      square.id,
      mean.id,
      ...root.nodes,
      ...(quotient?.nodes ?? []),
      ...affine.nodes,
    ]),
  };
}

const unique = (ids: readonly string[]): string[] => [...new Set(ids)];

function squaredValue(view: View, node: Node): string | undefined {
  const [a = '', b = ''] = node.inputs;
  const isSquare =
    (node.op === 'Pow' && view.scalar(b) === 2) || (node.op === 'Mul' && a === b && a !== '');
  return isSquare && !view.isStatic(a) ? view.source(a) : undefined;
}

interface Centring {
  readonly input: string;
  readonly mean: string;
  /** Other differences of the same two values. */
  readonly copies: readonly string[];
  readonly nodes: readonly string[];
}

/** `x - mean(x)`. */
function centredValue(view: View, deviation: string): Centring | undefined {
  const difference = view.graph.producer(deviation);
  if (difference?.op !== 'Sub') return undefined;
  const [minuend = '', subtrahend = ''] = difference.inputs;
  const mean = view.maker(subtrahend);
  if (mean?.op !== 'ReduceMean' && mean?.op !== 'GlobalAveragePool') return undefined;
  const input = view.source(minuend);
  if (view.source(mean.inputs[0] ?? '') !== input) return undefined;
  const copies = view
    .readers(subtrahend)
    .filter((node) => node.op === 'Sub' && node.inputs[0] === minuend)
    .map((node) => node.outputs[0] ?? '');
  return { input, mean: subtrahend, copies, nodes: [mean.id, difference.id] };
}

interface Root {
  readonly value: string;
  /** Whether the value is one over the root. */
  readonly inverse: boolean;
  readonly epsilon: number;
  readonly nodes: readonly string[];
}

/** The root of the mean of the squares: `sqrt(mean + epsilon)`, or one over it. */
function rootOf(view: View, meanOfSquares: string): Root | undefined {
  let value = meanOfSquares;
  let epsilon = 0;
  let rooted = false;
  const nodes: string[] = [];
  for (let steps = 0; steps < 6; steps++) {
    const reader = view.readers(value).find((node) => isRootStep(view, node, value));
    if (!reader) break;
    const other = otherInput(reader, value);
    nodes.push(reader.id);
    value = reader.outputs[0] ?? '';
    if (reader.op === 'Add') epsilon = view.scalar(other) ?? 0;
    if (reader.op === 'Reciprocal' || reader.op === 'Div')
      return rooted ? { value, inverse: true, epsilon, nodes } : undefined;
    if (reader.op === 'Pow' && view.scalar(other) === -0.5)
      return { value, inverse: true, epsilon, nodes };
    if (reader.op === 'Sqrt' || reader.op === 'Pow') rooted = true;
  }
  return rooted ? { value, inverse: false, epsilon, nodes } : undefined;
}

function isRootStep(view: View, node: Node, value: string): boolean {
  const other = otherInput(node, value);
  switch (node.op) {
    case 'Add':
    case 'Max':
    case 'Clip':
      return view.isStatic(other) && view.scalar(other) !== undefined;
    case 'Pow':
      return node.inputs[0] === value && Math.abs(view.scalar(other) ?? 0) === 0.5;
    case 'Div':
      return node.inputs[1] === value && view.scalar(other) === 1;
    case 'Sqrt':
    case 'Reciprocal':
      return true;
    default:
      return isPassing(node);
  }
}

/** The deviation divided by the root. */
function quotientOf(
  view: View,
  root: Root,
  deviation: string,
  copies: readonly string[],
): { output: string; nodes: string[] } | undefined {
  const isDeviation = (value: string) =>
    view.source(value) === deviation || copies.includes(view.source(value));
  for (const reader of view.readers(root.value)) {
    const fits = root.inverse
      ? reader.op === 'Mul' && isDeviation(otherInput(reader, root.value))
      : reader.op === 'Div' &&
        reader.inputs[1] === root.value &&
        isDeviation(reader.inputs[0] ?? '');
    if (!fits) continue;
    const divided = root.inverse ? otherInput(reader, root.value) : (reader.inputs[0] ?? '');
    const copy = copies.includes(view.source(divided)) ? view.maker(divided) : undefined;
    const nodes = copy ? [copy.id, reader.id] : [reader.id];
    return { output: reader.outputs[0] ?? '', nodes };
  }
  return undefined;
}

type Affine = Pick<Norm, 'scale' | 'shift' | 'output' | 'nodes'>;

/**
 * The form of a batch norm at inference, which TensorFlow writes for a layer norm too: `s = scale/root`, then
 * `x·s + (shift - mean·s)`. Every value on the way serves nothing else.
 */
function foldedAffine(view: View, root: Root, { input, mean }: Centring): Affine | undefined {
  if (!root.inverse) return undefined;
  const scaling = view.onlyReader(root.value);
  const other = scaling && otherInput(scaling, root.value);
  const isScaled = scaling?.op === 'Mul' && isWeight(view, other ?? '');
  const factor = isScaled ? (scaling.outputs[0] ?? '') : root.value;
  const products = view.readers(factor);
  const times = (value: string) =>
    products.find(
      (node) => node.op === 'Mul' && view.source(otherInput(node, factor)) === view.source(value),
    );
  const [scaled, shiftedBy] = [times(input), times(mean)];
  if (products.length !== 2 || view.graph.isOutput(factor) || !scaled || !shiftedBy)
    return undefined;
  const sum = view.onlyReader(scaled.outputs[0] ?? '');
  const difference = view.onlyReader(shiftedBy.outputs[0] ?? '');
  const [shift = '', subtrahend] = difference?.inputs ?? [];
  if (difference?.op !== 'Sub' || subtrahend !== shiftedBy.outputs[0]) return undefined;
  if (sum?.op !== 'Add' || !isWeight(view, shift)) return undefined;
  if (view.onlyReader(difference.outputs[0] ?? '') !== sum) return undefined;
  return {
    scale: isScaled ? parameterOf(scaling, other!) : undefined,
    shift: parameterOf(difference, shift),
    output: sum.outputs[0] ?? '',
    nodes: [...(isScaled ? [scaling.id] : []), scaled.id, shiftedBy.id, difference.id, sum.id],
  };
}

const isWeight = (view: View, value: string): boolean =>
  value !== '' && view.isStatic(value) && !view.isScalar(value);

const parameterOf = (node: Node, value: string): Parameter => ({
  node: node.id,
  value,
  input: node.inputs.indexOf(value),
});

/** A weight multiplied to a value and one added, where they are. */
function scaleAndShift(view: View, value: string): Affine {
  let output = value;
  let scale: Parameter | undefined;
  let shift: Parameter | undefined;
  let nodes: string[] = [];
  const walked: string[] = [];
  let at = value;
  for (let reader = view.onlyReader(at); reader; reader = view.onlyReader(at)) {
    const other = otherInput(reader, at);
    const parameter = parameterOf(reader, other);
    const isParameter = isWeight(view, other);
    if (reader.op === 'Mul' && isParameter && !scale && !shift) scale = parameter;
    else if (reader.op === 'Add' && isParameter && !shift) shift = parameter;
    else if (!isPassing(reader)) break;
    walked.push(reader.id);
    at = reader.outputs[0] ?? '';
    if (isPassing(reader)) continue;
    output = at;
    nodes = [...walked];
  }
  return { scale, shift, output, nodes };
}
