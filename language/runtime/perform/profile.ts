/** What each layer of a model takes on this machine, by ONNX Runtime's own profile. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { WhittleError } from '../../errors';
import { Graph } from '../../graph/graph';
import { writeModel } from '../../onnx/write';
import type { Context } from '../perform';
import { nameOf, openSession, readStructure } from '../session';
import { generatedData, type Profile, type ProfileRequest } from '../tasks';
import { attribute, tagNodes } from './attribution';
import { openData } from './data';
import { layersOf, timesOf, type ProfileEvent } from './layerTimes';
import { conditionsOf, median, openRunner } from './measure';

const WARM_UP_RUNS = 3;
const MIN_RUNS = 5;
const MAX_RUNS = 200;
/** ONNX Runtime keeps every event in memory until the end, and at most a million. */
const MAX_EVENTS = 400_000;
const DEFAULT_BUDGET_MS = 1500;

export async function profile(request: ProfileRequest, context: Context): Promise<Profile> {
  const { model: file, threads = 1, batch = 1, budgetMs = DEFAULT_BUDGET_MS } = request;
  const { scratch, report } = context;
  report(`loading ${nameOf(file)}`, 0, budgetMs);
  const model = readStructure(file);
  const graph = Graph.of(model);
  const ids = tagNodes(graph);
  const tagged = path.join(scratch, 'tagged.onnx');
  writeModel(model, graph.toRecord(), graph.opsets, tagged);
  const optimisedFile = path.join(scratch, 'optimised.onnx');
  const options = { threads, copyOf: file };
  const plain = await openSession(tagged, options);
  const profiled = await openSession(tagged, {
    ...options,
    optimisedFile,
    profilePrefix: path.join(scratch, PREFIX),
  });
  const executed = attribute(graph, ids, readStructure(optimisedFile).graph.nodes);
  const dataset = openData(request.data ?? generatedData(1));
  const [alone, watched] = [plain, profiled].map((session) =>
    openRunner(session, dataset, batch, request.shapes),
  ) as [Runner, Runner];
  const most = Math.max(
    MIN_RUNS,
    Math.min(MAX_RUNS, Math.floor(MAX_EVENTS / Math.max(1, executed.length))),
  );
  for (let i = 0; i < WARM_UP_RUNS; i++) await alone.run();
  const start = performance.now();
  let runs = 0;
  for (; runs < most; runs++) {
    const elapsedMs = performance.now() - start;
    if (runs >= MIN_RUNS && elapsedMs > budgetMs) break;
    report('measuring', Math.min(budgetMs, Math.round(elapsedMs)), budgetMs);
    alone.timesMs.push(await alone.run());
    await watched.run();
  }
  profiled.endProfiling();
  const events = readEvents(scratch, file);
  const wholeMs = median(alone.timesMs);
  return {
    layers: layersOf(graph, executed, timesOf(events, executed), wholeMs),
    wholeMs,
    conditions: await conditionsOf({ threads, rows: alone.rows, dataset, runs }),
    generated: dataset.generated,
  };
}

type Runner = ReturnType<typeof openRunner>;

// ---- ONNX Runtime's file of events

const PREFIX = 'profile';

function readEvents(scratch: string, model: string): readonly ProfileEvent[] {
  try {
    // The prefix is followed by the date, which `endProfiling` keeps for itself.
    const name = readdirSync(scratch).find((entry) => entry.startsWith(`${PREFIX}_`))!;
    return JSON.parse(readFileSync(path.join(scratch, name), 'utf8')) as ProfileEvent[];
  } catch (cause) {
    throw new WhittleError('ONNX Runtime left no profile', { where: model, cause });
  }
}
