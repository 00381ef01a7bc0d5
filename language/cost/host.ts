/** The processor beside an accelerator, for the layers that the accelerator cannot run. */
import { longest, phase, type Cost, type Layer } from './phases';

/** What that processor achieves. */
export interface Host {
  readonly gmacPerS: number;
  readonly gopPerS: number;
  readonly gbPerS: number;
  /** To leave the accelerator and come back. */
  readonly perCallUs: number;
}

export function hostCost({ op, workload }: Layer, host: Host, target: string): Cost {
  const { macs, ops, inputBytes, outputBytes, weightReadBytes } = workload;
  const bytes = (inputBytes ?? 0) + (outputBytes ?? 0) + weightReadBytes;
  const arithmeticMs = (macs ?? 0) / (host.gmacPerS * 1e6) + (ops ?? 0) / (host.gopPerS * 1e6);
  return {
    phases: [
      longest(
        phase('host arithmetic', arithmeticMs, 'compute'),
        phase('host memory', bytes / (host.gbPerS * 1e6), 'activation bandwidth'),
      ),
      phase('host call', host.perCallUs / 1e3, 'overhead'),
    ],
    energyMj: null,
    mapping: 'on the processor beside it',
    unsupported: `${target} does not run ${describeOperator(op, workload.matmul?.constant)}`,
  };
}

const describeOperator = (op: string, constant: 'a' | 'b' | null | undefined): string =>
  constant === null || constant === 'a' ? `${op} of activations` : op;
