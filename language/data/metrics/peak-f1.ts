import { z } from 'zod';
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import { peaksOf, type Peak } from '../decoders/peaks';
import { answerAndTarget, chooseOutput, misfit, oneOutput, type Metric } from './metric';

const parameters = oneOutput.extend({
  decoder: z
    .strictObject({
      kind: z.literal('peaks'),
      window: z.int().min(1).max(99).multipleOf(1).optional(),
      threshold: z.number().optional(),
    })
    .optional()
    .describe('How points are read off a heat map; default: 3 × 3 local maxima above 0.3'),
  radius: z.number().positive().describe('How near a true point is, in heat-map pixels'),
});

export const peakF1: Metric<z.infer<typeof parameters>> = {
  id: 'peak-f1',
  title: 'Peak F1',
  definition:
    'Per channel of the heat map (N × joints × H × W): its local maxima above the threshold, highest first, each take the nearest ' +
    'visible true point within the radius that is still free. The target holds x and y of the points in heat-map pixels ' +
    '(N × people × joints × 2), its mask which of them are visible (N × people × joints). F1 of the counts over the whole set; ' +
    'beside it precision and recall.',
  higherIsBetter: true,
  parameters,
  outputs: chooseOutput,
  start({ decoder, radius }) {
    const window = decoder?.window ?? 3;
    const threshold = decoder?.threshold ?? 0.3;
    let hits = 0;
    let found = 0;
    let wanted = 0;
    return {
      add(batch) {
        const { answer, target } = answerAndTarget(batch);
        const { mask } = batch;
        const [samples = 0, joints = 0, height = 0, width = 0] = answer.dims;
        const people = elementCount(target.dims.slice(1, -2));
        if (
          answer.dims.length !== 4 ||
          target.dims.length < 3 ||
          target.dims[0] !== samples ||
          target.dims.at(-1) !== 2 ||
          target.dims.at(-2) !== joints
        )
          throw misfit(answer, target);
        if (mask && mask.values.length * 2 !== target.values.length) throw misfit(answer, mask);
        for (let sample = 0; sample < samples; sample++)
          for (let joint = 0; joint < joints; joint++) {
            const start = (sample * joints + joint) * height * width;
            const map = { values: answer.values, start, height, width };
            const points: Point[] = [];
            for (let person = 0; person < people; person++) {
              const at = (sample * people + person) * joints + joint;
              if (mask?.values[at] === 0) continue;
              points.push({ x: target.values[2 * at]!, y: target.values[2 * at + 1]! });
            }
            const peaks = peaksOf(map, window, threshold);
            hits += matched(peaks, points, radius);
            found += peaks.length;
            wanted += points.length;
          }
      },
      score() {
        if (wanted === 0) throw new WhittleError('there are no visible points to judge');
        const precision = found > 0 ? hits / found : 0;
        const recall = hits / wanted;
        return { value: (2 * hits) / (found + wanted), more: { precision, recall } };
      },
    };
  },
};

interface Point {
  readonly x: number;
  readonly y: number;
}

function matched(peaks: Peak[], points: readonly Point[], radius: number): number {
  const free = new Set(points);
  for (const peak of peaks.sort((a, b) => b.score - a.score)) {
    let nearest: Point | undefined;
    let distance = radius;
    for (const point of free) {
      const away = Math.hypot(point.x - peak.x, point.y - peak.y);
      if (away > distance || (away === distance && nearest)) continue;
      distance = away;
      nearest = point;
    }
    if (nearest) free.delete(nearest);
  }
  return points.length - free.size;
}
