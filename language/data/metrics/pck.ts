import { z } from 'zod';
import { WhittleError } from '../../errors';
import { highestOf } from '../decoders/peaks';
import {
  answerAndTarget,
  chooseOutput,
  misfit,
  oneOutput,
  Share,
  type Answer,
  type Metric,
} from './metric';

const parameters = oneOutput.extend({
  decoder: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('coordinates') }),
      z.strictObject({
        kind: z.literal('highest'),
        stride: z.number().positive().optional(),
        offset: z.number().optional(),
      }),
    ])
    .optional()
    .describe(
      'coordinates: the output holds x and y of each point (default). highest: (pixel + offset) · stride of the highest pixel of each heat map',
    ),
  share: z.number().positive().describe('How near a true point is: this share of the size'),
  size: z
    .number()
    .positive()
    .optional()
    .describe('Size of the object; default: of each sample, from `extra: { size }`'),
});

export const pck: Metric<z.infer<typeof parameters>> = {
  id: 'pck',
  title: 'Percentage of correct keypoints',
  definition:
    'Share of the visible points whose predicted place is within share × size of the true one. The target holds x and y of the ' +
    'points (N × points × 2), its mask which of them are visible (N × points).',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ decoder = { kind: 'coordinates' }, share, size }) {
    const near = new Share();
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        const [samples = 0, points = 0] = target.dims;
        if (target.dims.length !== 3 || target.dims[2] !== 2) throw misfit(answer, target);
        if (mask && mask.values.length !== samples * points) throw misfit(answer, mask);
        const sizes = batch.extra.get('size');
        if (size === undefined && sizes?.values.length !== samples)
          throw new WhittleError('pck needs the size of the objects', {
            hint: 'Give size in the metric, or one number per sample: extra: { size: { array: … } }',
          });
        const place = placeReader(answer, samples, points, decoder);
        if (!place) throw misfit(answer, target);
        for (let i = 0; i < samples * points; i++) {
          if (mask?.values[i] === 0) continue;
          const { x, y } = place(i);
          const away = Math.hypot(x - target.values[2 * i]!, y - target.values[2 * i + 1]!);
          near.add(away <= share * (size ?? sizes!.values[Math.floor(i / points)]!));
        }
      },
      score() {
        if (near.count === 0) throw new WhittleError('there are no visible points to judge');
        return { value: near.value, more: {} };
      },
    };
  },
};

/** Where the i-th point of a batch is; undefined where the output does not hold such points. */
function placeReader(
  { dims, values }: Answer,
  samples: number,
  points: number,
  decoder: NonNullable<z.infer<typeof parameters>['decoder']>,
): ((i: number) => { x: number; y: number }) | undefined {
  if (decoder.kind === 'coordinates') {
    if (values.length !== samples * points * 2 || dims[0] !== samples) return undefined;
    return (i) => ({ x: values[2 * i]!, y: values[2 * i + 1]! });
  }
  const [rows, channels, height = 0, width = 0] = dims;
  if (dims.length !== 4 || rows !== samples || channels !== points) return undefined;
  const { stride = 1, offset = 0 } = decoder;
  return (i) => {
    const { x, y } = highestOf({ values, start: i * height * width, height, width }) ?? {
      x: NaN,
      y: NaN,
    };
    return { x: (x + offset) * stride, y: (y + offset) * stride };
  };
}
