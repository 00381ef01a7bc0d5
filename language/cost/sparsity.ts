/** How many of a layer's weights are not zero, and where the zeros lie. Reads them the first time it is asked. */
import type { Tensor } from '../onnx/model';
import { elementCount, tensorDensity, tensorNumbers } from '../onnx/tensor';
import type { Stored } from './constants';
import { UNSTRUCTURED, zeroStructure, type WeightLayout, type ZeroStructure } from './patterns';
import type { ConvLoops, MatmulLoops, Sparsity } from './workload';

/** @throws WhittleError when the weights cannot be read, or have a type that cannot be */
export function densityOf(weights: readonly Stored[]): Sparsity {
  let elements = 0;
  let nonzeros = 0;
  let estimated = false;
  for (const stored of weights) {
    const density = storedDensity(stored);
    elements += elementCount(stored.tensor.dims);
    nonzeros += density.nonzeros;
    estimated ||= density.estimated;
  }
  return { density: elements === 0 ? 1 : nonzeros / elements, estimated };
}

const structures = new WeakMap<Tensor, ZeroStructure>();

/**
 * Of a weight that is stored as one tensor. Zeros that are not decided yet have no places: they count as unstructured.
 * @throws WhittleError when the weights cannot be read
 */
export function structureOf(
  weights: readonly Stored[],
  layout: (dims: readonly number[]) => WeightLayout | undefined,
): ZeroStructure {
  const [stored] = weights;
  if (!stored || weights.length > 1 || storedDensity(stored).estimated) return UNSTRUCTURED;
  const { tensor } = stored;
  let known = structures.get(tensor);
  if (!known) {
    const places = layout(tensor.dims);
    known = places ? zeroStructure(zeroTest(stored), places) : UNSTRUCTURED;
    structures.set(tensor, known);
  }
  return known;
}

/** Whether an element of the flat tensor stands for zero. */
function zeroTest({ tensor, zeroPoint }: Stored): (index: number) => boolean {
  const codes = tensorNumbers(tensor);
  const zeros = zeroPoint ? tensorNumbers(zeroPoint) : [0];
  const inner = innerOf(tensor, zeros.length);
  return (index) => codes[index] === zeros[Math.floor(index / inner) % zeros.length];
}

/** How a convolution's or a product's weights lie in their tensor; undefined where the shape does not tell. */
export function layoutOf(
  dims: readonly number[],
  loops: { readonly conv?: ConvLoops; readonly matmul?: MatmulLoops } | undefined,
  isTransposed: boolean,
): WeightLayout | undefined {
  if (loops?.conv) return convLayout(dims, loops.conv);
  const { matmul } = loops ?? {};
  if (!matmul || dims.length !== 2) return undefined;
  const [first, second] = dims as [number, number];
  const outputsFirst = matmul.constant === 'a' || isTransposed;
  const strides = (output: number, input: number) => ({ output, input, tap: 0 });
  return outputsFirst
    ? { outputs: first, inputs: second, taps: 1, strides: strides(second, 1) }
    : { outputs: second, inputs: first, taps: 1, strides: strides(1, second) };
}

function convLayout(
  dims: readonly number[],
  { kernel, transposed }: ConvLoops,
): WeightLayout | undefined {
  const taps = elementCount(kernel);
  const [first = 0, second = 0] = dims;
  const isChannelsFirst = kernel.every((size, axis) => dims[axis + 2] === size);
  if (dims.length !== kernel.length + 2) return undefined;
  if (isChannelsFirst) {
    const [outer, inner] = [second * taps, taps];
    return transposed
      ? { outputs: second, inputs: first, taps, strides: { output: inner, input: outer, tap: 1 } }
      : { outputs: first, inputs: second, taps, strides: { output: outer, input: inner, tap: 1 } };
  }
  const inputs = dims.at(-1)!;
  if (transposed || !kernel.every((size, axis) => dims[axis + 1] === size)) return undefined;
  return {
    outputs: first,
    inputs,
    taps,
    strides: { output: taps * inputs, input: 1, tap: inputs },
  };
}

function storedDensity({ tensor, zeroPoint }: Stored): { nonzeros: number; estimated: boolean } {
  // A tensor that knows its density says how many weights are not zero, whatever the code of zero is.
  if (tensor.density || !zeroPoint) return tensorDensity(tensor);
  const zeros = tensorNumbers(zeroPoint);
  if (zeros.every((code) => code === 0)) return tensorDensity(tensor);
  return { nonzeros: countOtherThan(tensor, zeroPoint), estimated: false };
}

const counts = new WeakMap<Tensor, Map<Tensor, number>>();

/**
 * Codes that differ from the zero point. A zero point per channel lies along the only axis of its length, or along the
 * first of several.
 */
function countOtherThan(tensor: Tensor, zeroPoint: Tensor): number {
  let known = counts.get(tensor);
  if (!known) counts.set(tensor, (known = new Map<Tensor, number>()));
  let nonzeros = known.get(zeroPoint);
  if (nonzeros === undefined) {
    nonzeros = count(tensor, zeroPoint);
    known.set(zeroPoint, nonzeros);
  }
  return nonzeros;
}

function count(tensor: Tensor, zeroPoint: Tensor): number {
  const codes = tensorNumbers(tensor);
  const zeros = tensorNumbers(zeroPoint);
  const inner = innerOf(tensor, zeros.length);
  let nonzeros = 0;
  for (let i = 0; i < codes.length; i++)
    if (codes[i] !== zeros[Math.floor(i / inner) % zeros.length]) nonzeros++;
  return nonzeros;
}

/** Elements in a row that share a zero point, where there are so many of them. */
function innerOf({ dims }: Tensor, zeroPoints: number): number {
  const axis = zeroPoints === 1 ? -1 : dims.indexOf(zeroPoints);
  return Math.max(1, axis < 0 ? elementCount(dims) : elementCount(dims.slice(axis + 1)));
}
