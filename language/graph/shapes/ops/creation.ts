/** Operators that make a tensor: constants, ranges, random numbers, windows. */
import type { Dim } from '../../../onnx/model';
import { isInteger, type ElementType } from '../../../onnx/schema';
import { elementCount } from '../../../onnx/tensor';
import { fixedShape } from '../../facts';
import { constantTensor } from '../../graph';
import type { Rule, Rules } from '../call';
import { add, ceilDivide, floorDivide, fraction, floorOf, subtract } from '../dims';
import { holding } from '../elements';
import { elementTypeOf, MAX_ELEMENTS, ofTensor, tensorOf } from '../values';
import { requestedShape } from './reshaping';

const constant: Rule = (call) => {
  const tensor = constantTensor(call.node);
  if (tensor) return ofTensor(tensor);
  const strings = call.attribute('value_strings');
  if (strings?.kind === 'strings') return tensorOf('string', [strings.value.length]);
  return call.hasAttribute('value_string') ? tensorOf('string', []) : [undefined];
};

const constantOfShape: Rule = (call) => {
  const value = call.attribute('value');
  const fill = value?.kind === 'tensor' ? ofTensor(value.value) : undefined;
  const shape = requestedShape(call, 0);
  const type = fill ? elementTypeOf(fill) : 'float32';
  const dims = fixedShape(shape);
  const made = tensorOf(type, shape);
  if (!dims || elementCount(dims) > MAX_ELEMENTS) return made;
  const element = fill ? (fill.elements?.elements[0] ?? null) : 0;
  return tensorOf(type, shape, new Array<Dim>(elementCount(dims)).fill(element));
};

const range: Rule = (call) => {
  const [start, limit, delta] = [call.first(0), call.first(1), call.first(2)];
  const type = call.type(0);
  const count = rangeLength(type, start, limit, delta);
  const elements =
    typeof count === 'number' && count <= MAX_ELEMENTS && typeof delta === 'number'
      ? Array.from({ length: count }, (_, i) => add(start, i * delta)).map(holding(type))
      : undefined;
  return tensorOf(type, [count], elements);
};

/** ⌈(limit − start) / delta⌉, and none when that is negative. */
function rangeLength(type: ElementType, start: Dim, limit: Dim, delta: Dim): Dim {
  const span = subtract(limit, start);
  if (span === null || typeof delta !== 'number' || delta === 0) return null;
  if (typeof span === 'number') return Math.max(0, Math.ceil(span / delta));
  if (delta < 0) return rangeLength(type, limit, start, -delta);
  return isInteger(type)
    ? ceilDivide(span, delta)
    : subtract(0, floorOf(subtract(0, fraction(span, delta))));
}

/** Of a type given by `dtype`, or of the input's. */
const typedLike: Rule = (call) =>
  tensorOf(call.typeAttribute('dtype', call.type(0)), call.input(0).shape);

const random: Rule = (call) =>
  tensorOf(call.typeAttribute('dtype', 'float32'), call.ints('shape') ?? undefined);

/** [rows, samples] */
const multinomial: Rule = (call) =>
  tensorOf(call.typeAttribute('dtype', 'int32'), [call.dim(0, 0), call.int('sample_size', 1)]);

const window: Rule = (call) =>
  tensorOf(call.typeAttribute('output_datatype', 'float32'), [call.first(0)]);

const melWeightMatrix: Rule = (call) =>
  tensorOf(call.typeAttribute('output_datatype', 'float32'), [
    add(floorDivide(call.first(1), 2), 1),
    call.first(0),
  ]);

// ---- spectra

/** The axis is an attribute before opset 20 and input 2 since. */
const dft: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return call.like(undefined);
  const given = call.has(2) ? call.numbers(2)?.[0] : call.int('axis', call.version < 20 ? 1 : -2);
  if (given === undefined) return call.like(x.map(() => null));
  const axis = given < 0 ? given + x.length : given;
  const oneSided = call.int('onesided', 0) === 1;
  const inverse = call.int('inverse', 0) === 1;
  const own = x[axis] ?? null;
  const full = oneSided && inverse ? add(add(own, own), -2) : own;
  const length = call.has(1) ? call.first(1) : full;
  const bins = oneSided && !inverse ? add(floorDivide(length, 2), 1) : length;
  const parts = oneSided && inverse ? 1 : 2;
  return call.like([...x.slice(0, -1).map((dim, i) => (i === axis ? bins : dim)), parts]);
};

/** [batch, frames, bins, 2] */
const stft: Rule = (call) => {
  const signal = call.input(0).shape;
  const length = call.has(3) ? call.first(3) : call.dim(2, 0);
  const step = call.first(1);
  const frames = add(floorDivide(subtract(signal?.[1] ?? null, length), step), 1);
  const bins = call.int('onesided', 1) === 1 ? add(floorDivide(length, 2), 1) : length;
  return call.like([signal?.[0] ?? null, frames, bins, 2]);
};

export const creation: Rules = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: typedLike,
  Bernoulli: typedLike,
  RandomNormalLike: typedLike,
  RandomUniformLike: typedLike,
  RandomNormal: random,
  RandomUniform: random,
  Multinomial: multinomial,
  BlackmanWindow: window,
  HammingWindow: window,
  HannWindow: window,
  MelWeightMatrix: melWeightMatrix,
  DFT: dft,
  STFT: stft,
};
