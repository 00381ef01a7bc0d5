/** What is added up of values inside a model while it runs over a data set, batch by batch. */
import { type Dataset } from '../../data/dataset';
import type { Model } from '../../onnx/model';
import type { Context } from '../perform';
import { nameOf, type Output } from '../session';
import type { CaptureRequest } from '../tasks';
import { ModelCopy, notFinite, wholeBatches } from './exposing';
import { collectGarbage } from './garbage';

export interface Watcher {
  /** What it tells of: a value, or a node. */
  readonly about: string;
  /** @returns false when an element was not finite */
  add(outputs: Outputs): boolean;
}

export type Outputs = ReadonlyMap<string, Output>;

export interface Watch {
  readonly model: Model;
  readonly request: CaptureRequest;
  readonly dataset: Dataset;
  readonly context: Context;
  /** Samples to run at once. */
  readonly batch: number;
  /** Keeps memory low at the cost of some speed. */
  readonly frugal?: boolean;
  /** Which part of the whole it is, for the progress. */
  readonly part?: string;
  /** What to do with a watcher whose value is not finite; by default, it fails. */
  readonly onBroken?: (about: string, error: Error) => void;
}

/**
 * One pass over the data.
 * @param make adds to the copy what it needs and answers the watchers
 * @throws WhittleError where a value is not finite, unless `onBroken` is there
 */
export async function watchOver<W extends Watcher>(
  { model, request, dataset, context, batch: size, frugal, part = '', onBroken }: Watch,
  make: (copy: ModelCopy) => readonly W[],
): Promise<{ readonly samples: number; readonly watchers: readonly W[] }> {
  const copy = new ModelCopy(model);
  let watchers = make(copy);
  if (watchers.length === 0) return { samples: dataset.samples, watchers };
  const { threads, shapes } = request;
  const session = await copy.open({ threads, ...(frugal && { frugal }) }, context);
  const binding = dataset.bind(session.inputs, shapes);
  let done = 0;
  for (const batch of wholeBatches(binding, size)) {
    context.report(`running ${nameOf(request.model)}${part}`, done, dataset.samples);
    const outputs = await session.run(batch.inputs);
    watchers = watchers.filter((watcher) => {
      if (watcher.add(outputs)) return true;
      const error = notFinite(watcher.about, batch.samples, dataset.name);
      if (!onBroken) throw error;
      onBroken(watcher.about, error);
      return false;
    });
    done += batch.samples.length;
    if (frugal) collectGarbage(); // else what many batches left waits for it
  }
  await session.release();
  return { samples: done, watchers };
}
