/** How well a fitted profile predicts what was measured, as `calibrate` tells it. */
import type { HeldOut } from '../cost/heldOut';
import type { TargetProfile } from '../cost/profile';
import { milliseconds, table } from './command';

export function leaveOneOut({ basis }: TargetProfile, heldOut: readonly HeldOut[]) {
  const [error] = basis.status === 'calibrated' ? basis.errors : [];
  return { ...error, measurements: heldOut };
}

export const heldOutTable = (heldOut: readonly HeldOut[]): string[] =>
  table(
    [
      ['  network', 'measured', 'fitted', 'predicted without it'],
      ...heldOut.map(({ name, measuredMs, fittedMs, predictedMs }) => [
        `  ${name}`,
        milliseconds(measuredMs),
        milliseconds(fittedMs),
        milliseconds(predictedMs),
      ]),
    ],
    [1, 2, 3],
  );
