/** The most memory that values need at once when kernels run in order. */
import type { Kernel } from './kernels';
import type { Flows } from './flow';

/**
 * Bytes alive at the worst moment: each value from the kernel that writes it to the last that reads it; inputs of the
 * graph from the start, outputs to the end. Null while a size is not known.
 */
export function peakBytes(
  { flows, inputs, outputs, values }: Flows<Pick<Kernel, 'places'>>,
  size: (value: number) => number | undefined,
): number | null {
  const lastUse = new Int32Array(values);
  flows.forEach(({ reads, writes }, at) => {
    for (const value of reads) lastUse[value] = at;
    for (const value of writes) lastUse[value] = at;
  });
  for (const value of outputs) lastUse[value] = flows.length;
  /** By value; −1: not alive. */
  const alive = new Float64Array(values).fill(-1);
  let total = 0;
  const begin = (value: number): boolean => {
    if (alive[value] !== -1) return true;
    const bytes = size(value);
    if (bytes === undefined) return false;
    alive[value] = bytes;
    total += bytes;
    return true;
  };
  const end = (value: number, at: number): void => {
    if (lastUse[value] !== at || alive[value] === -1) return;
    total -= alive[value]!;
    alive[value] = -1;
  };
  if (!inputs.every(begin)) return null;
  let most = total;
  for (const [at, { reads, writes }] of flows.entries()) {
    if (!writes.every(begin)) return null;
    most = Math.max(most, total);
    for (const value of reads) end(value, at);
    for (const value of writes) end(value, at);
  }
  return most;
}
