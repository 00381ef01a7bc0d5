/** Operators of the ONNX standard written in others, for targets that lack them. Equal but for rounding, in float32. */
import type { Facts } from '../graph/facts';
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  stringAttribute,
  type Graph,
  type Node,
} from '../graph/graph';
import type { AttributeValue } from '../onnx/model';
import { packInt64, tensorNumbers } from '../onnx/tensor';
import { floatBytes } from './inserter';

/** A node and what surrounds it. */
export interface Place {
  readonly graph: Graph;
  readonly facts: Facts;
  readonly node: Node;
}

export interface Equivalent {
  /** What it is written in. */
  readonly operators: readonly string[];
  /** Whether this node is of a form that the equivalent covers; every one unless given. */
  readonly fits?: (place: Place) => boolean;
  /** Puts the equivalent in the node's place. */
  readonly replace: (place: Place) => void;
}

type Formula = (write: Writer, inputs: readonly string[], place: Place) => string;

/** An equivalent by its formula over the node's inputs. */
const as = (
  operators: readonly string[],
  formula: Formula,
  fits?: Equivalent['fits'],
): Equivalent => ({
  operators,
  ...(fits && { fits }),
  replace(place) {
    const write = new Writer(place);
    write.finish(formula(write, place.node.inputs, place));
  },
});

/** Inserts nodes under fresh names, the last of which takes the name of what it replaces. */
class Writer {
  readonly #near: Node;

  constructor(private readonly place: Place) {
    this.#near = place.node;
    place.graph.remove(place.node.id);
  }

  op(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    const { graph, node } = this.place;
    const output = graph.freshValue(`${node.outputs[0]}/${op}`);
    graph.insert({ op, name: output, inputs, outputs: [output], attributes }, this.#near);
    return output;
  }

  scalar(value: number): string {
    return this.#constant('value', 'float32', [], floatBytes([value]));
  }

  axes(values: readonly number[]): string {
    return this.#constant('axes', 'int64', [values.length], packInt64(values));
  }

  /** Reductions take their axes as an input since operator sets 13 (sums) and 18 (others). */
  reduce(op: 'ReduceMean' | 'ReduceSum' | 'ReduceMax', x: string, axis: number): string {
    const since = op === 'ReduceSum' ? 13 : 18;
    const keepdims = { kind: 'int', value: 1 } as const;
    return this.place.graph.opset >= since
      ? this.op(op, [x, this.axes([axis])], { keepdims })
      : this.op(op, [x], { keepdims, axes: { kind: 'ints', value: [axis] } });
  }

  finish(result: string): void {
    const { graph, node } = this.place;
    const last = graph.producer(result)!;
    graph.renameOutput(last.id, result, node.outputs[0]!);
  }

  #constant(
    name: string,
    elementType: 'float32' | 'int64',
    dims: readonly number[],
    bytes: Uint8Array,
  ): string {
    const { graph, node } = this.place;
    const value = graph.freshValue(`${node.outputs[0]}/${name}`);
    graph.setInitializer({ name: value, elementType, dims, data: { kind: 'memory', bytes } });
    return value;
  }
}

// ---- forms

const constantOf = ({ graph, node }: Place, input: number) =>
  graph.constant(node.inputs[input] ?? '');

/** The one number that a constant input holds. */
function numberOf(place: Place, input: number): number | undefined {
  const tensor = constantOf(place, input);
  return tensor?.elementType === 'float32' && tensor.dims.every((size) => size === 1)
    ? tensorNumbers(tensor)[0]
    : undefined;
}

/** A mean of a picture over all of its pixels that keeps its axes. */
function isPictureMean(place: Place): boolean {
  const { facts, node } = place;
  const rank = facts.value(node.inputs[0]!).shape?.length ?? 0;
  const axes =
    intsAttribute(node, 'axes') ?? (node.inputs[1] ? integersOf(place, node.inputs[1]) : undefined);
  if (rank < 3 || !axes || intAttribute(node, 'keepdims', 1) !== 1) return false;
  const spatial = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  return spatial.size === rank - 2 && !spatial.has(0) && !spatial.has(1);
}

function integersOf({ graph }: Place, name: string): readonly number[] | undefined {
  const tensor = graph.constant(name);
  return tensor?.elementType === 'int64' ? [...tensorNumbers(tensor)] : undefined;
}

/** A limit of a Clip: a number, or none. */
const limit = (place: Place, input: number): number | null | undefined =>
  place.node.inputs[input] ? numberOf(place, input) : null;

// ---- formulas

const times = (write: Writer, a: string, factor: number): string =>
  write.op('Mul', [a, write.scalar(factor)]);
const plus = (write: Writer, a: string, term: number): string =>
  write.op('Add', [a, write.scalar(term)]);
const clip = (write: Writer, a: string, low: number, high: number): string =>
  write.op('Clip', [a, write.scalar(low), write.scalar(high)]);

const hardSigmoid: Formula = (write, [x = ''], { node }) =>
  clip(
    write,
    plus(
      write,
      times(write, x, floatAttribute(node, 'alpha', 0.2)),
      floatAttribute(node, 'beta', 0.5),
    ),
    0,
    1,
  );

const SQRT_HALF = Math.SQRT1_2;
/** Of Gelu's approximation by tanh: √(2/π) and the factor of the cube. */
const [GELU_SCALE, GELU_CUBE] = [Math.sqrt(2 / Math.PI), 0.044715];

const gelu: Formula = (write, [x = '']) =>
  write.op('Mul', [
    times(write, x, 0.5),
    plus(write, write.op('Erf', [times(write, x, SQRT_HALF)]), 1),
  ]);

const geluByTanh: Formula = (write, [x = '']) => {
  const cube = write.op('Mul', [write.op('Mul', [x, x]), x]);
  const inner = times(write, write.op('Add', [x, times(write, cube, GELU_CUBE)]), GELU_SCALE);
  return write.op('Mul', [times(write, x, 0.5), plus(write, write.op('Tanh', [inner]), 1)]);
};

const isExact = ({ node }: Place) => stringAttribute(node, 'approximate', 'none') === 'none';

/** Shifted by the largest, as kernels do it, so that nothing overflows. */
const softmax: Formula = (write, [x = ''], { node }) => {
  const axis = intAttribute(node, 'axis', -1);
  const shifted = write.op('Sub', [x, write.reduce('ReduceMax', x, axis)]);
  const powers = write.op('Exp', [shifted]);
  return write.op('Div', [powers, write.reduce('ReduceSum', powers, axis)]);
};

const layerNormalisation: Formula = (write, [x = '', scale = '', bias = ''], { node }) => {
  const axis = intAttribute(node, 'axis', -1);
  const centred = write.op('Sub', [x, write.reduce('ReduceMean', x, axis)]);
  const variance = write.reduce('ReduceMean', write.op('Mul', [centred, centred]), axis);
  const deviation = write.op('Sqrt', [
    plus(write, variance, floatAttribute(node, 'epsilon', 1e-5)),
  ]);
  const scaled = write.op('Mul', [write.op('Div', [centred, deviation]), scale]);
  return bias ? write.op('Add', [scaled, bias]) : scaled;
};

/** Over the last axis, and nobody asks for the statistics. */
const isLastAxis = ({ node, facts }: Place): boolean => {
  const rank = facts.value(node.inputs[0]!).shape?.length;
  const axis = intAttribute(node, 'axis', -1);
  return (axis === -1 || axis === (rank ?? 0) - 1) && node.outputs.filter(Boolean).length === 1;
};

const summed: Formula = (write, inputs) =>
  inputs.slice(1).reduce((sum, input) => write.op('Add', [sum, input]), inputs[0]!);

const severalInputs = ({ node }: Place) => node.inputs.length > 1;

export const EQUIVALENTS: Readonly<Record<string, readonly Equivalent[]>> = {
  HardSwish: [
    as(['HardSigmoid', 'Mul'], (write, [x = '']) => {
      const gate = {
        alpha: { kind: 'float', value: 1 / 6 },
        beta: { kind: 'float', value: 0.5 },
      } as const;
      return write.op('Mul', [x, write.op('HardSigmoid', [x], gate)]);
    }),
    as(['Add', 'Clip', 'Mul'], (write, [x = '']) =>
      write.op('Mul', [x, times(write, clip(write, plus(write, x, 3), 0, 6), 1 / 6)]),
    ),
  ],
  HardSigmoid: [as(['Mul', 'Add', 'Clip'], hardSigmoid)],
  Gelu: [
    as(['Mul', 'Add', 'Erf'], gelu, isExact),
    as(['Mul', 'Add', 'Tanh'], geluByTanh, (place) => !isExact(place)),
  ],
  Sigmoid: [
    as(['Mul', 'Tanh', 'Add'], (write, [x = '']) =>
      plus(write, times(write, write.op('Tanh', [times(write, x, 0.5)]), 0.5), 0.5),
    ),
  ],
  Mish: [
    as(['Softplus', 'Tanh', 'Mul'], (write, [x = '']) =>
      write.op('Mul', [x, write.op('Tanh', [write.op('Softplus', [x])])]),
    ),
  ],
  Softsign: [
    as(['Abs', 'Add', 'Div'], (write, [x = '']) =>
      write.op('Div', [x, plus(write, write.op('Abs', [x]), 1)]),
    ),
  ],
  LeakyRelu: [
    as(
      ['Mul', 'Max'],
      (write, [x = ''], { node }) =>
        write.op('Max', [x, times(write, x, floatAttribute(node, 'alpha', 0.01))]),
      ({ node }) => {
        const alpha = floatAttribute(node, 'alpha', 0.01);
        return alpha >= 0 && alpha <= 1;
      },
    ),
    as(['Relu', 'Mul', 'Add'], (write, [x = ''], { node }) =>
      write.op('Add', [
        write.op('Relu', [x]),
        times(write, write.op('Relu', [times(write, x, -1)]), -floatAttribute(node, 'alpha', 0.01)),
      ]),
    ),
  ],
  PRelu: [
    as(['Relu', 'Mul', 'Add'], (write, [x = '', slope = '']) => {
      const below = write.op('Relu', [times(write, x, -1)]);
      const product = write.op('Mul', [below, slope]);
      return write.op('Add', [write.op('Relu', [x]), times(write, product, -1)]);
    }),
  ],
  Relu: [
    as(['Clip'], (write, [x = '']) => write.op('Clip', [x, write.scalar(0)])),
    as(['Max'], (write, [x = '']) => write.op('Max', [x, write.scalar(0)])),
  ],
  Clip: [
    as(
      ['Max', 'Min'],
      (write, [x = ''], place) => {
        const [low, high] = [limit(place, 1), limit(place, 2)];
        const raised = typeof low === 'number' ? write.op('Max', [x, write.scalar(low)]) : x;
        return typeof high === 'number' ? write.op('Min', [raised, write.scalar(high)]) : raised;
      },
      (place) => {
        const limits = [limit(place, 1), limit(place, 2)];
        return limits.every((l) => l !== undefined) && limits.some((l) => typeof l === 'number');
      },
    ),
  ],
  Sub: [as(['Mul', 'Add'], (write, [a = '', b = '']) => write.op('Add', [a, times(write, b, -1)]))],
  Neg: [as(['Mul'], (write, [x = '']) => times(write, x, -1))],
  Div: [
    as(
      ['Mul'],
      (write, [a = ''], place) => times(write, a, 1 / numberOf(place, 1)!),
      (place) => {
        const divisor = numberOf(place, 1);
        return divisor !== undefined && divisor !== 0 && Number.isFinite(1 / divisor);
      },
    ),
    as(['Reciprocal', 'Mul'], (write, [a = '', b = '']) =>
      write.op('Mul', [a, write.op('Reciprocal', [b])]),
    ),
  ],
  Pow: [
    as(
      ['Mul'],
      (write, [x = ''], place) => {
        const square = write.op('Mul', [x, x]);
        return numberOf(place, 1) === 3 ? write.op('Mul', [square, x]) : square;
      },
      (place) => [2, 3].includes(numberOf(place, 1) ?? 0),
    ),
    as(
      ['Sqrt'],
      (write, [x = '']) => write.op('Sqrt', [x]),
      (place) => numberOf(place, 1) === 0.5,
    ),
  ],
  Sum: [as(['Add'], summed, severalInputs)],
  Mean: [
    as(
      ['Add', 'Mul'],
      (write, inputs, place) => times(write, summed(write, inputs, place), 1 / inputs.length),
      severalInputs,
    ),
  ],
  ReduceMean: [
    as(
      ['GlobalAveragePool'],
      (write, [x = '']) => write.op('GlobalAveragePool', [x]),
      isPictureMean,
    ),
  ],
  Softmax: [as(['ReduceMax', 'Sub', 'Exp', 'ReduceSum', 'Div'], softmax)],
  LayerNormalization: [
    as(['ReduceMean', 'Sub', 'Mul', 'Add', 'Sqrt', 'Div'], layerNormalisation, isLastAxis),
  ],
};
