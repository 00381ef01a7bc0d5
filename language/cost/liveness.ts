/** The most memory that values need at once when kernels run in order. */
import type { Kernel } from './kernels';
import type { Flows } from './flow';

/**
 * Bytes alive at the worst moment: each value from the kernel that writes it to the last that reads it; inputs of the
 * graph from the start, outputs to the end. Null while a size is not known.
 */
export function peakBytes(
  { flows, inputs, outputs }: Flows<Pick<Kernel, 'main' | 'absorbed'>>,
  size: (value: string) => number | undefined,
): number | null {
  const lastUse = new Map<string, number>();
  flows.forEach(({ reads, writes }, at) => {
    for (const value of reads) lastUse.set(value, at);
    for (const value of writes) lastUse.set(value, at);
  });
  for (const value of outputs) lastUse.set(value, Infinity);
  const alive = new Map<string, number>();
  let total = 0;
  const begin = (value: string): boolean => {
    if (alive.has(value)) return true;
    const bytes = size(value);
    if (bytes === undefined) return false;
    alive.set(value, bytes);
    total += bytes;
    return true;
  };
  const end = (value: string, at: number): void => {
    if (lastUse.get(value) !== at) return;
    total -= alive.get(value) ?? 0;
    alive.delete(value);
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
