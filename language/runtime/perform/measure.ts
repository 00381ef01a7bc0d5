/** How fast models run on this machine, measured in turn so that what disturbs one disturbs the others alike. */
import os from 'node:os';
import type { Dataset } from '../../data/dataset';
import type { Sizes } from '../../data/generated';
import { WhittleError } from '../../errors';
import type { Context } from '../perform';
import { nameOf, loadRuntime, openSession, type Session } from '../session';
import { generatedData, type Measurement, type MeasureRequest, type Speed } from '../tasks';
import { openData } from './data';

const WARM_UP_RUNS = 3;
const MIN_ROUNDS = 5;
const MAX_ROUNDS = 500;
const DEFAULT_BUDGET_MS = 1500;
/** However slow the models are, nobody waits longer than this times the budget for the least number of rounds. */
const PATIENCE = 20;

export async function measure(request: MeasureRequest, { report }: Context): Promise<Measurement> {
  const { models, threads = 1, batch = 1, budgetMs = DEFAULT_BUDGET_MS } = request;
  const dataset = openData(request.data ?? generatedData(1));
  const sessions: Session[] = [];
  for (const model of models) {
    report(`loading ${nameOf(model)}`, 0, 1);
    sessions.push(await openSession(model, { threads, extra: STOP_SPINNING }));
  }
  const runners = sessions.map((session) => openRunner(session, dataset, batch, request.shapes));
  const rows = commonRows(runners);
  const runs = await runInTurn(runners, budgetMs * models.length, report);
  for (const session of sessions) await session.release();
  const conditions = await conditionsOf({ threads, rows, dataset, runs });
  const { generated } = dataset;
  return { models: runners.map(speedOf), conditions, batch: rows, threads, generated };
}

/** What a time holds for, in words. */
export async function conditionsOf(measured: {
  readonly threads: number;
  readonly rows: number;
  readonly dataset: Dataset;
  readonly runs: number;
}): Promise<string> {
  const { threads, rows, dataset, runs } = measured;
  const { env } = await loadRuntime();
  return [
    processor(),
    `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    `batch ${rows}`,
    dataset.generated ? dataset.name : `inputs from ${dataset.name}`,
    `median of ${runs} runs of each model in turn`,
    `ONNX Runtime ${env.versions.node ?? env.versions.common}`,
  ].join(', ');
}

/** Between its runs a session's threads would else keep spinning and slow down the other models. */
const STOP_SPINNING = { session: { force_spinning_stop: '1' } };

interface Runner {
  readonly model: string;
  /** Samples that go through in one run. */
  readonly rows: number;
  readonly run: () => Promise<number>;
  readonly timesMs: number[];
}

export function openRunner(
  session: Session,
  dataset: Dataset,
  batch: number,
  shapes: Sizes | undefined,
): Runner {
  const leading = session.inputs.flatMap(({ shape }) =>
    typeof shape?.[0] === 'string' ? [[shape[0], batch]] : [],
  );
  const sizes = { ...(Object.fromEntries(leading) as Sizes), ...shapes };
  const [first] = dataset.bind(session.inputs, sizes).batches(batch);
  const { inputs } = first!;
  const counted =
    session.inputs.find(({ shape }) => typeof shape?.[0] !== 'number') ?? session.inputs[0];
  const rows = (counted && inputs.get(counted.name)?.dims[0]) ?? 1;
  return { model: session.file, rows, run: session.timer(inputs), timesMs: [] };
}

function commonRows(runners: readonly Runner[]): number {
  const [first, ...others] = runners;
  if (!first) throw new WhittleError('there is no model to measure');
  const other = others.find((runner) => runner.rows !== first.rows);
  if (!other) return first.rows;
  throw new WhittleError(
    `times of batches of ${first.rows} and of ${other.rows} cannot be compared`,
    { where: other.model },
  );
}

/** @returns how often each model ran */
async function runInTurn(
  runners: readonly Runner[],
  budgetMs: number,
  report: Context['report'],
): Promise<number> {
  for (const { model, run } of runners) {
    report(`warming up ${nameOf(model)}`, 0, budgetMs);
    for (let i = 0; i < WARM_UP_RUNS; i++) await run();
  }
  const start = performance.now();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const elapsedMs = performance.now() - start;
    if (elapsedMs > (round < MIN_ROUNDS ? PATIENCE : 1) * budgetMs) return round;
    report('measuring', Math.min(budgetMs, Math.round(elapsedMs)), budgetMs);
    // Every other round backwards, so that none always follows the same one.
    const turns = round % 2 ? [...runners].reverse() : runners;
    for (const { run, timesMs } of turns) timesMs.push(await run());
  }
  return MAX_ROUNDS;
}

const speedOf = ({ model, timesMs }: Runner): Speed => ({
  model,
  medianMs: median(timesMs),
  spreadMs: quantile(timesMs, 0.75) - quantile(timesMs, 0.25),
  runs: timesMs.length,
});

export const median = (values: readonly number[]): number => quantile(values, 0.5);

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (at % 1) * (sorted[Math.ceil(at)]! - below);
}

function processor(): string {
  const model = os.cpus()[0]?.model.trim();
  return model === undefined || model === '' ? process.arch : model;
}
