/** How many of a layer's weights are not zero. Reads them the first time it is asked. */
import type { Tensor } from '../onnx/model';
import { elementCount, tensorDensity, tensorNumbers } from '../onnx/tensor';
import type { Stored } from './constants';
import type { Sparsity } from './workload';

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
  return { density: elements === 0 ? 1 : nonzeros / elements, estimated, pattern: 'unstructured' };
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
  const axis = zeros.length === 1 ? -1 : tensor.dims.indexOf(zeros.length);
  const inner = axis < 0 ? codes.length : elementCount(tensor.dims.slice(axis + 1));
  let nonzeros = 0;
  for (let i = 0; i < codes.length; i++)
    if (codes[i] !== zeros[Math.floor(i / inner) % zeros.length]) nonzeros++;
  return nonzeros;
}
