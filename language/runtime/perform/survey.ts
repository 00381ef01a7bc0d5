/** How large values inside a model are, and how many samples it takes at once, found by running it. */
import type { Dataset } from '../../data/dataset';
import { Graph } from '../../graph/graph';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import type { Context } from '../perform';
import type { Session } from '../session';
import type { CaptureRequest, GramsRequest } from '../tasks';
import { batchSize } from './data';
import { floatsAmong, ModelCopy, outputTypes, requireValues, type FloatType } from './exposing';

export interface Surveyed {
  readonly type: FloatType;
  /** For one sample, or for as many as the model takes at once. */
  readonly dims: readonly number[];
}

export interface Survey {
  readonly values: ReadonlyMap<string, Surveyed>;
  /** The values that cannot be looked at, with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
  /** Samples that the model takes at once. */
  readonly takes: number;
  /** Samples to run at once: not more than keeps memory in bounds. */
  readonly batch: number;
}

export async function survey(
  model: Model,
  request: CaptureRequest & Pick<GramsRequest, 'takes'>,
  dataset: Dataset,
  context: Context,
): Promise<Survey> {
  const wanted = requireValues(Graph.of(model), request.values, request.model);
  if (wanted.length === 0) return { values: new Map(), skipped: new Map(), takes: 1, batch: 1 };
  const copy = new ModelCopy(model);
  for (const value of wanted) copy.expose(value);
  const outputs = request.takes ? [] : model.graph.outputs.map(({ name }) => copy.expose(name));
  const session = await copy.open({ optimisation: 'basic', threads: request.threads }, context);
  const { types, skipped } = floatsAmong(wanted, outputTypes(session));
  const binding = dataset.bind(session.inputs, request.shapes);
  const [first] = binding.batches(1);
  const values = new Map<string, Surveyed>();
  for (const some of inGroups([...types.keys()], LOOKED_AT)) {
    const found = await session.run(first!.inputs, some);
    for (const value of some) {
      const { dims } = found.get(value)!;
      if (dims.includes(0)) skipped.set(value, 'it has no elements');
      else values.set(value, { type: types.get(value)!, dims });
    }
  }
  const takes = request.takes ?? (await batchSize(binding, withOutputs(session, outputs)));
  await session.release();
  const largest = Math.max(1, ...[...values.values()].map(({ dims }) => elementCount(dims)));
  const most = Math.max(1, Math.floor(MAX_ELEMENTS / largest));
  return { values, skipped, takes, batch: Math.min(takes, most) };
}

/** Values that leave ONNX Runtime at a time, of one sample. */
const LOOKED_AT = 16;

function* inGroups<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}

/** Elements of the largest value that is looked at, for all samples of a batch: many are alive at once. */
const MAX_ELEMENTS = 2 ** 18;

/** The model's own outputs say how it takes several samples; what is asked of values does not. */
function withOutputs(session: Session, names: readonly string[]): Session {
  const own = session.outputs.filter(({ name }) => names.includes(name));
  const ownNames = own.map(({ name }) => name);
  return { ...session, outputs: own, run: (feeds) => session.run(feeds, ownNames) };
}

/**
 * Values in parts, each for a run of its own over the data, so that memory does not grow with how many they are.
 * @param fewest values that share a run however large they are
 */
export function inParts(
  values: ReadonlyMap<string, Surveyed>,
  bytesOf: (surveyed: Surveyed) => number,
  { most, fewest }: { readonly most: number; readonly fewest: number },
): ReadonlyMap<string, Surveyed>[] {
  const parts: Map<string, Surveyed>[] = [];
  let part = new Map<string, Surveyed>();
  let bytes = 0;
  for (const [value, surveyed] of values) {
    const needed = bytesOf(surveyed);
    if (parts.length === 0 || (bytes + needed > most && part.size >= fewest)) {
      parts.push((part = new Map<string, Surveyed>()));
      bytes = 0;
    }
    part.set(value, surveyed);
    bytes += needed;
  }
  return parts;
}

/** What progress says of one of several parts. */
export const partWords = (part: number, parts: number): string =>
  parts > 1 ? `, part ${part + 1} of ${parts}` : '';
