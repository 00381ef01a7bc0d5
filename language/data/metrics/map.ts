import { z } from 'zod';
import { WhittleError } from '../../errors';
import {
  boxDecoder,
  boxFormat,
  decodeBoxes,
  iou,
  toBox,
  type Box,
  type Detection,
} from '../decoders/boxes';
import { chooseOutput, type Metric, type MetricBatch } from './metric';

const parameters = z.strictObject({
  decoder: boxDecoder.describe('How boxes are read off the outputs'),
  format: boxFormat.optional().describe('What the four numbers of a true box are; default corners'),
  classes: z.array(z.string()).optional().describe('Names of the classes, for the value of each'),
  most: z.int().positive().optional().describe('Detections of an image that count; default 100'),
});

/** IoU 0.50, 0.55 … 0.95. */
const OVERLAPS = Array.from({ length: 10 }, (_, i) => (50 + 5 * i) / 100);

export const map: Metric<z.infer<typeof parameters>> = {
  id: 'map',
  title: 'Mean average precision',
  definition:
    'Average precision per class, averaged over classes with true boxes and IoU 0.50, 0.55 … 0.95. A detection, highest score ' +
    'first over the whole set, hits when the free true box of its image and class that it overlaps most reaches the IoU; ' +
    'precision is the area under the curve through all points, made monotone. The target holds the true boxes (N × boxes × 4), ' +
    '`extra: { class }` their classes (N × boxes; negative: no box). Beside it map50, map75, and each class where they are named.',
  higherIsBetter: true,
  parameters,
  outputs: ({ decoder }, available) => {
    if (decoder.kind === 'centre-grid') return chooseOutput(decoder, available);
    return [decoder.boxes, decoder.scores].flatMap((output) => chooseOutput({ output }, available));
  },
  start({ decoder, format = 'corners', classes = [], most = 100 }) {
    const truths = new Map<number, TrueBox[]>();
    const detections = new Map<number, Placed[]>();
    return {
      add(batch) {
        const trueBoxes = readTruth(batch, format);
        const found = decodeBoxes(decoder, batch.answers);
        if (found.length !== trueBoxes.length)
          throw new WhittleError(
            `the model answers for ${found.length} images of ${trueBoxes.length}`,
          );
        trueBoxes.forEach((boxes, i) => {
          for (const box of boxes) push(truths, box.class, { ...box, image: batch.samples[i]! });
          const best = found[i]!.sort((a, b) => b.score - a.score).slice(0, most);
          for (const box of best) push(detections, box.class, { box, image: batch.samples[i]! });
        });
      },
      score() {
        if (truths.size === 0) throw new WhittleError('there are no true boxes to judge');
        const curves = [...truths].map(([c, boxes]) => {
          const ordered = (detections.get(c) ?? []).sort((a, b) => b.box.score - a.box.score);
          return { class: c, at: OVERLAPS.map((least) => averagePrecision(ordered, boxes, least)) };
        });
        const mean = (values: readonly number[]) =>
          values.reduce((a, b) => a + b, 0) / values.length;
        const at = (overlap: number) =>
          mean(curves.map((curve) => curve.at[OVERLAPS.indexOf(overlap)]!));
        const named = curves.flatMap((curve) =>
          classes[curve.class] === undefined ? [] : [[classes[curve.class]!, mean(curve.at)]],
        );
        return {
          value: mean(curves.map((curve) => mean(curve.at))),
          more: {
            map50: at(0.5),
            map75: at(0.75),
            ...(Object.fromEntries(named) as Record<string, number>),
          },
        };
      },
    };
  },
};

interface TrueBox extends Box {
  readonly class: number;
  readonly image: number;
}
interface Placed {
  readonly box: Detection;
  readonly image: number;
}

function push<T>(lists: Map<number, T[]>, key: number, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

function readTruth(
  { samples, target, extra }: MetricBatch,
  format: z.infer<typeof boxFormat>,
): (Box & { readonly class: number })[][] {
  const classes = extra.get('class');
  if (!target || !classes)
    throw new WhittleError('map needs the true boxes and their classes', {
      hint: 'Name both: target: { array: boxes }, extra: { class: { array: cls } }',
    });
  const [rows = 0, boxes = 0, four] = target.dims;
  if (target.dims.length !== 3 || four !== 4 || classes.dims.join() !== [rows, boxes].join())
    throw new WhittleError(
      `boxes of ${target.dims.join(' × ')} and classes of ${classes.dims.join(' × ')} are not N × boxes × 4 and N × boxes`,
    );
  return samples.map((_, i) => {
    const found: (Box & { readonly class: number })[] = [];
    for (let k = i * boxes; k < (i + 1) * boxes; k++) {
      const c = classes.values[k]!;
      if (c < 0) continue;
      const [p, q, r, s] = target.values.subarray(4 * k, 4 * k + 4);
      found.push({ ...toBox(format, p!, q!, r!, s!), class: c });
    }
    return found;
  });
}

/** @param detections of one class, highest score first */
function averagePrecision(
  detections: readonly Placed[],
  truths: readonly TrueBox[],
  least: number,
): number {
  const free = new Map<number, Set<TrueBox>>();
  for (const truth of truths) {
    const here = free.get(truth.image) ?? new Set();
    free.set(truth.image, here.add(truth));
  }
  const precision: number[] = [];
  const hitAt: number[] = [];
  let hits = 0;
  detections.forEach((detection, i) => {
    const candidates = free.get(detection.image);
    let best: TrueBox | undefined;
    let overlap = least;
    for (const truth of candidates ?? []) {
      const value = iou(detection.box, truth);
      if (value < overlap || (value === overlap && best)) continue;
      overlap = value;
      best = truth;
    }
    if (best) {
      candidates!.delete(best);
      hits++;
      hitAt.push(i);
    }
    precision.push(hits / (i + 1));
  });
  for (let i = precision.length - 2; i >= 0; i--)
    precision[i] = Math.max(precision[i]!, precision[i + 1]!);
  return hitAt.reduce((area, i) => area + precision[i]!, 0) / truths.length;
}
