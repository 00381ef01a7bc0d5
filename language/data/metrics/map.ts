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
          const overlaps = overlapsOf(ordered, boxes);
          return {
            class: c,
            at: OVERLAPS.map((least) => averagePrecision(overlaps, boxes, least)),
          };
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

interface Overlap {
  readonly truth: TrueBox;
  /** Intersection over union. */
  readonly iou: number;
}

/** For each detection the true boxes of its image that it overlaps enough to count, the one it overlaps most first. */
function overlapsOf(
  detections: readonly Placed[],
  truths: readonly TrueBox[],
): readonly (readonly Overlap[])[] {
  const byImage = new Map<number, TrueBox[]>();
  for (const truth of truths) push(byImage, truth.image, truth);
  return detections.map(({ box, image }) => {
    const found: Overlap[] = [];
    for (const truth of byImage.get(image) ?? []) {
      const overlap = iou(box, truth);
      if (overlap >= OVERLAPS[0]!) found.push({ truth, iou: overlap });
    }
    return found.sort((a, b) => b.iou - a.iou);
  });
}

/** @param overlaps of the detections of one class, highest score first */
function averagePrecision(
  overlaps: readonly (readonly Overlap[])[],
  truths: readonly TrueBox[],
  least: number,
): number {
  const taken = new Set<TrueBox>();
  const precision = new Float64Array(overlaps.length);
  const hitAt: number[] = [];
  overlaps.forEach((candidates, i) => {
    const best = candidates.find(({ truth, iou }) => iou >= least && !taken.has(truth));
    if (best) {
      taken.add(best.truth);
      hitAt.push(i);
    }
    precision[i] = hitAt.length / (i + 1);
  });
  for (let i = precision.length - 2; i >= 0; i--)
    precision[i] = Math.max(precision[i]!, precision[i + 1]!);
  return hitAt.reduce((area, i) => area + precision[i]!, 0) / truths.length;
}
