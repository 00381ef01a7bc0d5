/** What goes in and out of a node on the samples of a recipe, measured and told in a few numbers. */
import { WhittleError } from '../errors';
import type { AttentionShown, ChannelPeaks, NodeActivations, ValueActivations } from '../protocol';
import { runTask } from '../runtime/runtime';
import type { AttentionMap, Captured, ChannelStatistics } from '../runtime/tasks';
import { cached } from './cache';
import { attentionsAt } from './captures';
import { datasetHash, modelHash } from './hashes';
import { bindModel, inputSizes, openModel } from './opened';
import { dataRequest } from './planning';
import type { Recipe } from './recipe';

export interface AskedActivations {
  readonly values: readonly Pick<ValueActivations, 'name' | 'side'>[];
  /** Nodes of the model whose attention is asked for, where they are the heart of one. */
  readonly nodes: readonly string[];
}

export interface ActivationsJob {
  readonly recipe: Recipe;
  readonly folder: string;
  readonly recipeFile: string | undefined;
  readonly model: string;
  readonly asked: AskedActivations;
}

export interface ActivationsControl {
  readonly signal: AbortSignal;
  readonly onProgress: (detail: string, fraction: number) => void;
  readonly runtimeEntry?: string | undefined;
}

/** Where the recipe says nothing: enough for ranges, and soon there. */
const SAMPLES = 64;
const BINS = 64;
/** What a picture has room for. */
const MOST_PEAKS = 96;
const MOST_CELLS = 48;

/**
 * On the calibration data of the recipe, or else on what judges it. Kept by the content of model and data.
 * @throws WhittleError when the recipe names no data; CancelledError when the signal fires
 */
export async function nodeActivations(
  job: ActivationsJob,
  { signal, onProgress, runtimeEntry }: ActivationsControl,
): Promise<NodeActivations> {
  const { recipe, folder, model, asked } = job;
  const chosen = recipe.calibration ?? recipe.evaluation;
  if (!chosen)
    throw new WhittleError('the recipe names no samples', {
      hint: 'Add `calibration: { dataset: NAME.dataset.yaml }` to it',
    });
  const base = bindModel(openModel(model), recipe.shapes);
  const samples = chosen.samples ?? SAMPLES;
  const data = dataRequest({ ...chosen, samples }, job)!;
  const hashes = [await modelHash(model, base.graph), await datasetHash(chosen.dataset, folder)];
  const key = [hashes, samples, [...base.inputs], asked];
  return cached('activations', key, async () => {
    const captured = await runTask(
      {
        kind: 'capture',
        model,
        values: [...new Set(asked.values.map(({ name }) => name))],
        data,
        shapes: inputSizes(base),
        moments: true,
        histogramBins: BINS,
        attentions: attentionsAt(base, new Set(asked.nodes)),
      },
      {
        signal,
        entry: runtimeEntry,
        onProgress: ({ stage, done, total }) => onProgress(stage, done / Math.max(1, total)),
      },
    );
    return told(captured, asked);
  });
}

function told(captured: Captured, { values }: AskedActivations): NodeActivations {
  const { data, samples, generated, moments, histograms, attentions, skipped } = captured;
  return {
    data,
    samples,
    madeUp: generated,
    values: values.flatMap(({ name, side }): ValueActivations[] => {
      const [found, histogram] = [moments.get(name), histograms.get(name)];
      if (!found || !histogram) return [];
      const { start, width, counts } = histogram;
      const spread = { start, width, counts: [...counts] };
      return [{ name, side, ...overall(found), histogram: spread, channels: peaksOf(found) }];
    }),
    attentions: [...attentions].map(([node, map]) => shown(node, map)),
    skipped: [...skipped].map(([node, reason]) => ({ node, reason })),
  };
}

/** Of all channels, which have the same number of elements. */
function overall({ min, max, mean, meanSquare }: ChannelStatistics) {
  const average = (values: Float64Array) => values.reduce((a, b) => a + b, 0) / values.length;
  const center = average(mean);
  return {
    min: min.reduce((a, b) => Math.min(a, b)),
    max: max.reduce((a, b) => Math.max(a, b)),
    mean: center,
    standardDeviation: Math.sqrt(Math.max(0, average(meanSquare) - center * center)),
  };
}

function peaksOf({ min, max }: ChannelStatistics): ChannelPeaks | null {
  const count = min.length;
  if (count < 2) return null;
  const all = Array.from(min, (low, c) => Math.max(Math.abs(low), Math.abs(max[c]!)));
  const largest = Math.max(...all);
  const sorted = [...all].sort((a, b) => a - b);
  const middle = count >> 1;
  const median = count % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  const groups = Math.min(count, MOST_PEAKS);
  const peaks = Array.from({ length: groups }, (_, g) =>
    Math.max(...all.slice(edge(g, groups, count), edge(g + 1, groups, count))),
  );
  return { count, peaks, largest, at: all.indexOf(largest), median };
}

/** Where the part `g` of so many groups begins. */
const edge = (g: number, groups: number, count: number): number => Math.floor((g * count) / groups);

function shown(node: string, { heads, queries, keys, mean }: AttentionMap): AttentionShown {
  const [rows, columns] = [Math.min(queries, MOST_CELLS), Math.min(keys, MOST_CELLS)];
  const cells = new Array<number>(rows * columns).fill(0);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const [top, bottom] = [edge(r, rows, queries), edge(r + 1, rows, queries)];
      const [left, right] = [edge(c, columns, keys), edge(c + 1, columns, keys)];
      let sum = 0;
      for (let h = 0; h < heads; h++)
        for (let q = top; q < bottom; q++)
          for (let k = left; k < right; k++) sum += mean[(h * queries + q) * keys + k]!;
      const share = sum / (heads * (bottom - top) * (right - left));
      cells[r * columns + c] = Number(share.toPrecision(4));
    }
  return { node, heads, queries, keys, rows, columns, mean: cells };
}
