/** Operators that work on each element by itself, with broadcasting where there are several inputs. */
import type { Dim, Shape } from '../../../onnx/model';
import { ELEMENT_TYPES, isFloat, type ElementType } from '../../../onnx/schema';
import { elementCount } from '../../../onnx/tensor';
import { fixedShape, type ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import {
  add,
  broadcast,
  floorDivide,
  floorOf,
  fraction,
  maximum,
  minimum,
  multiply,
  subtract,
} from '../dims';
import {
  atLeastElement,
  broadcastDims,
  broadcastElements,
  casting,
  equalElement,
  holding,
  notElement,
} from '../elements';
import { isConstant, MAX_ELEMENTS, tensorOf } from '../values';

type Unary = (element: Dim) => Dim;
type Binary = (a: Dim, b: Dim) => Dim;

/** The output is shaped and typed like input 0; `apply` carries small known values along. */
export const unary = (apply?: Unary): Rule => {
  return (call) => mapUnary(call, call.type(0), apply);
};

export const sameAsInput = unary();

/** The input itself, under another name. */
export const identity: Rule = (call) => [call.input(0)];

function mapUnary(call: Call, type: ElementType, apply?: Unary): ValueFacts {
  const x = call.input(0);
  const known = apply && x.elements?.elements;
  if (!known) return tensorOf(type, x.shape);
  const hold = holding(type);
  return tensorOf(
    type,
    x.shape,
    known.map((element) => hold(apply(element))),
  );
}

const onNumber =
  (apply: (value: number) => number): Unary =>
  (element) =>
    typeof element === 'number' ? apply(element) : null;

/** An element test: bool, shaped like input 0. */
const test: Rule = (call) => tensorOf('bool', call.input(0).shape);

const negate: Unary = (element) => subtract(0, element);
const ceil: Unary = (element) => negate(floorOf(negate(element)));
const roundHalfToEven = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
};

/** Broadcasts two inputs. Before opset 7 the second one was fitted to the first. */
function operandShape(call: Call): Shape | undefined {
  call.input(0);
  call.input(1);
  if (call.version < 7) return call.shape(0);
  return broadcast(call.shape(0), call.shape(1));
}

function binary(
  apply: ((call: Call) => Binary) | undefined,
  resultType: (call: Call) => ElementType = operandType,
): Rule {
  return (call) => {
    const shape = operandShape(call);
    const type = resultType(call);
    if (!apply) return tensorOf(type, shape);
    return tensorOf(type, shape, mapInputs(call, apply(call), type));
  };
}

function operandType(call: Call): ElementType {
  const type = call.type(0);
  return type === 'unknown' ? call.type(1) : type;
}

const bool = (): ElementType => 'bool';

/** Elements of the inputs taken together from the first to the last, when all of them are known. */
function mapInputs(call: Call, apply: Binary, type: ElementType): readonly Dim[] | undefined {
  // Constants are asked last: their elements have to be read.
  if (call.inputs.some((facts) => !isConstant(facts) && !facts?.elements)) return undefined;
  const operands = call.inputs.map((facts) => facts?.elements).filter((known) => !!known);
  const dims = operands.length === call.inputs.length ? broadcastDims(operands) : undefined;
  if (!dims) return undefined;
  const hold = holding(type);
  const [first, ...others] = operands.map((operand) => broadcastElements(operand, dims));
  return others.reduce<readonly Dim[]>(
    (total, operand) => total.map((element, i) => hold(apply(element, operand[i]!))),
    first!,
  );
}

const divide = (call: Call): Binary => {
  if (isFloat(call.type(0))) return (a, b) => (b === 0 ? null : fraction(a, b));
  return (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return b === 0 ? null : Math.trunc(a / b);
    return floorDivide(a, b);
  };
};

const modulo = (call: Call): Binary => {
  const keepsSign = call.int('fmod', 0) === 1;
  return (a, b) => {
    if (b === 0) return null;
    if (typeof a === 'number' && typeof b === 'number')
      return keepsSign ? a % b : a - b * Math.floor(a / b);
    return subtract(a, multiply(b, floorDivide(a, b)));
  };
};

const power: Binary = (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return a ** b;
  return b === 1 ? a : b === 2 ? multiply(a, a) : null;
};

/** A comparison, exact for numbers and as far as can be told for symbols. */
const compare = (numbers: (a: number, b: number) => boolean, symbols: Binary): Rule =>
  binary(
    () => (a, b) => {
      if (typeof a === 'number' && typeof b === 'number') return numbers(a, b) ? 1 : 0;
      return symbols(a, b);
    },
    bool,
  );

const logical =
  (apply: (a: boolean, b: boolean) => boolean): Binary =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? Number(apply(a !== 0, b !== 0)) : null;

/** Any number of inputs, broadcast (from opset 8 on; equal shapes before). */
function variadic(apply?: Binary): Rule {
  return (call) => {
    const type = operandType(call);
    const shape = broadcast(...call.inputs.map((_, i) => call.input(i).shape));
    return tensorOf(type, shape, apply && mapInputs(call, apply, type));
  };
}

const where: Rule = (call) => {
  const [condition, yes, no] = [call.input(0), call.input(1), call.input(2)];
  const type = call.type(1) === 'unknown' ? call.type(2) : call.type(1);
  const shape = broadcast(condition.shape, yes.shape, no.shape);
  const dims = fixedShape(shape);
  const needed = isFloat(type) ? [condition, yes, no] : [condition];
  if (!dims || elementCount(dims) > MAX_ELEMENTS) return tensorOf(type, shape);
  if (needed.some((facts) => !isConstant(facts) && !facts.elements)) return tensorOf(type, shape);
  const [choices, a, b] = [condition, yes, no].map((facts) =>
    facts.elements ? broadcastElements(facts.elements, dims) : undefined,
  );
  const elements = choices?.map((choice, i) => {
    const [left, right] = [a?.[i] ?? null, b?.[i] ?? null];
    if (typeof choice === 'number') return choice === 0 ? right : left;
    return left === right ? left : null;
  });
  return tensorOf(type, shape, elements);
};

const cast = (call: Call, to: ElementType): ValueFacts =>
  mapUnary(call, to, casting(call.type(0), to));

/** The type that Cast names: by code, or by name before opset 6. */
function castTarget(call: Call): ElementType {
  const name = call.text('to', '').toLowerCase();
  if (name === 'float') return 'float32';
  if (name === 'double') return 'float64';
  if (name in ELEMENT_TYPES) return name as ElementType;
  return call.typeAttribute('to', 'unknown');
}

const clip: Rule = (call) => {
  const limits = call.has(1) || call.has(2);
  if (!call.input(0).elements) return call.like(call.shape(0));
  const low = limits ? limitOf(call, 1) : call.float('min', -Infinity);
  const high = limits ? limitOf(call, 2) : call.float('max', Infinity);
  return mapUnary(call, call.type(0), (element) => {
    const raised = low === -Infinity ? element : maximum(element, low);
    return high === Infinity ? raised : minimum(raised, high);
  });
};

function limitOf(call: Call, index: number): Dim {
  if (!call.has(index)) return index === 1 ? -Infinity : Infinity;
  return call.first(index);
}

/** The mask is of booleans from opset 10 on. */
const dropout: Rule = (call) => {
  const data = call.input(0);
  return [data, tensorOf(call.version < 10 ? call.type(0) : 'bool', data.shape)];
};

const SHAPED_LIKE_INPUT =
  'Acos Acosh Asin Asinh Atan Atanh BitwiseNot Celu Cos Cosh CumProd Elu Erf Gelu HardSigmoid HardSwish ' +
  'Hardmax LeakyRelu LogSoftmax Mish Selu Shrink Sigmoid Sin Sinh Softmax Softplus Softsign Swish Tan Tanh ' +
  'ThresholdedRelu Affine ParametricSoftplus ScaledTanh ImageScaler Scale';

export const elementwise: Rules = {
  ...Object.fromEntries(SHAPED_LIKE_INPUT.split(' ').map((op) => [op, sameAsInput])),
  Identity: identity,
  Dropout: dropout,
  Abs: unary((x) => (typeof x === 'number' ? Math.abs(x) : maximum(x, negate(x)))),
  Ceil: unary(ceil),
  Exp: unary(onNumber(Math.exp)),
  Floor: unary(floorOf),
  Log: unary(onNumber(Math.log)),
  Neg: unary(negate),
  Not: unary(notElement),
  Reciprocal: unary(onNumber((x) => 1 / x)),
  Relu: unary((x) => maximum(x, 0)),
  Round: unary(onNumber(roundHalfToEven)),
  Sign: unary((x) => (typeof x === 'number' ? Math.sign(x) : null)),
  Sqrt: unary(onNumber(Math.sqrt)),
  Clip: clip,
  IsInf: test,
  IsNaN: test,

  Add: binary(() => add),
  Sub: binary(() => subtract),
  Mul: binary(() => multiply),
  Div: binary(divide),
  Mod: binary(modulo),
  Pow: binary(
    () => power,
    (call) => call.type(0),
  ),
  And: binary(() => logical((a, b) => a && b), bool),
  Or: binary(() => logical((a, b) => a || b), bool),
  Xor: binary(() => logical((a, b) => a !== b), bool),
  Equal: compare((a, b) => a === b, equalElement),
  Greater: compare(
    (a, b) => a > b,
    (a, b) => notElement(atLeastElement(b, a)),
  ),
  GreaterOrEqual: compare((a, b) => a >= b, atLeastElement),
  Less: compare(
    (a, b) => a < b,
    (a, b) => notElement(atLeastElement(a, b)),
  ),
  LessOrEqual: compare(
    (a, b) => a <= b,
    (a, b) => atLeastElement(b, a),
  ),
  BitShift: binary(undefined),
  BitwiseAnd: binary(undefined),
  BitwiseOr: binary(undefined),
  BitwiseXor: binary(undefined),
  SwiGLU: sameAsInput,
  PRelu: sameAsInput,

  Max: variadic(maximum),
  Mean: variadic(),
  Min: variadic(minimum),
  Sum: variadic(add),
  Where: where,

  Cast: (call) => cast(call, castTarget(call)),
  CastLike: (call) => cast(call, call.type(1)),
  BitCast: (call) => tensorOf(castTarget(call), call.input(0).shape),
};
