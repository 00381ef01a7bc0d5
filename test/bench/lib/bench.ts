/** What `scripts/bench.mjs` hands to a benchmark, and what it takes back. */

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The largest value that is good enough. */
  readonly bar?: number;
  readonly note?: string;
}

export interface Usage {
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  readonly seconds: number;
  readonly stdout: string;
}

export interface Bench {
  readonly scratch: string;
  cli(args: readonly string[]): Usage;
  idle(): Usage;
  best(times: number, measure: () => Usage): Usage;
}
