/**
 * How an operator that works on one step of a loop works on all steps at once, when what changes from step to step is stacked
 * along a new first axis.
 */
import { intAttribute, intsAttribute, type Node } from '../../../graph/graph';
import type { AttributeValue } from '../../../onnx/model';

/** A node as it stands in the body of a loop. */
export interface OneStep {
  readonly node: Node;
  /** Axes of a value of one step; undefined where they are not known. */
  readonly rank: (value: string) => number | undefined;
  /** Whether each step has a value of its own. */
  readonly varies: (value: string) => boolean;
  /** The elements of a constant. */
  readonly numbers: (value: string) => readonly number[] | undefined;
}

/** What becomes of a node. Its operands are stacked, but for those that are the same at every step. */
export interface AllSteps {
  /** In place of those that it has. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** Elements of its second input, which says axes or sizes. */
  readonly numbers?: readonly number[];
}

/** @returns why there is no such form, as what follows the name of the node */
export function overAllSteps(step: OneStep): AllSteps | string {
  const { domain, op } = step.node;
  const rule = domain === '' ? RULES[op] : undefined;
  return rule ? rule(step) : `has no form over all steps at once (${op})`;
}

type Rule = (step: OneStep) => AllSteps | string;

const UNKNOWN = 'reads values whose ranks are not known';
const AS_IT_IS: AllSteps = { attributes: {} };

/** Axes are matched from the last on, so that steps come before all of them where stacked operands have the most axes. */
const aligned =
  (fewest: number): Rule =>
  ({ node, rank, varies }) => {
    const operands = node.inputs.filter((input) => input !== '');
    const ranks = operands.map(rank);
    if (ranks.some((axes) => axes === undefined)) return UNKNOWN;
    const most = Math.max(...(ranks as number[]));
    if (ranks.some((axes) => axes! < fewest)) return 'multiplies a vector';
    const fits = operands.every((operand, i) => !varies(operand) || ranks[i] === most);
    return fits ? AS_IT_IS : 'reads values of different ranks';
  };

/** Axes counted from the front move back by one; those counted from the end stay. */
const shifted = (axes: readonly number[]): number[] => axes.map((axis) => axis + Number(axis >= 0));

const axesRule: Rule = ({ node, numbers }) => {
  const attribute = intsAttribute(node, 'axes');
  if (attribute) return { attributes: { axes: { kind: 'ints', value: shifted(attribute) } } };
  const axes = node.inputs[1] ? numbers(node.inputs[1]) : undefined;
  return axes ? { attributes: {}, numbers: shifted(axes) } : 'names no axes';
};

const transpose: Rule = ({ node, rank }) => {
  const axes = rank(node.inputs[0]!);
  if (axes === undefined) return UNKNOWN;
  const perm = intsAttribute(node, 'perm') ?? Array.from({ length: axes }, (_, i) => axes - 1 - i);
  return { attributes: { perm: { kind: 'ints', value: [0, ...shifted(perm)] } } };
};

/** A size of 0 takes the one of the input at its own place, which is that of the steps at the first. */
const reshape: Rule = ({ node, numbers }) => {
  const sizes = numbers(node.inputs[1]!);
  if (!sizes || intAttribute(node, 'allowzero', 0)) return 'has a shape that is not known';
  return { attributes: {}, numbers: [0, ...sizes] };
};

const elementwise = [
  ...['Abs', 'Add', 'Cast', 'Clip', 'Div', 'Elu', 'Erf', 'Exp', 'Gelu', 'HardSigmoid', 'HardSwish'],
  ...['Identity', 'LeakyRelu', 'Log', 'Max', 'Min', 'Mish', 'Mul', 'Neg', 'Pow', 'Reciprocal'],
  ...['Relu', 'Sigmoid', 'Softplus', 'Sqrt', 'Sub', 'Tanh', 'Where'],
];

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(elementwise.map((op) => [op, aligned(0)])),
  MatMul: aligned(2),
  Squeeze: axesRule,
  Unsqueeze: axesRule,
  Transpose: transpose,
  Reshape: reshape,
};
