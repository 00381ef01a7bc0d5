/** Boxes that the outputs of a detector stand for. */
import { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Answer } from '../metrics/metric';
import { peaksOf } from './peaks';

/** Corners in the units of the target. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Detection extends Box {
  readonly class: number;
  readonly score: number;
}

const FORMATS = ['corners', 'centre-size', 'corner-size'] as const;
export const boxFormat = z
  .enum(FORMATS)
  .describe('corners: x1 y1 x2 y2; centre-size: cx cy w h; corner-size: x1 y1 w h');
export type BoxFormat = z.infer<typeof boxFormat>;

export const boxDecoder = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('centre-grid'),
      output: z.string().optional().describe('Needed when the model has several'),
      stride: z.number().positive().describe('Pixels of the image per cell'),
      window: z.int().min(1).max(99).optional().describe('Local maxima within this; default 3'),
      threshold: z.number().optional().describe('Least score; default 0.05'),
    })
    .describe(
      'One output of N × (classes + 4) × H × W: score = sigmoid of the first channels, kept where it is a local maximum above the ' +
        'threshold; centre = (cell + 0.5 + offset) · stride, size = exp(log size) · stride from the last four: dx, dy, log w, log h',
    ),
  z
    .strictObject({
      kind: z.literal('boxes'),
      boxes: z.string().describe('The output with the boxes, N × boxes × 4'),
      scores: z.string().describe('The output with the scores, N × boxes × classes'),
      format: boxFormat.optional(),
      scale: z
        .union([z.number(), z.array(z.number()).length(4)])
        .optional()
        .describe('Factor on the boxes, or one for each of the four numbers'),
      sigmoid: z.boolean().optional().describe('Whether the scores are logits; default false'),
      background: z.int().optional().describe('A class that stands for nothing'),
      threshold: z.number().optional().describe('Least score; default 0.05'),
      overlap: z
        .number()
        .min(0)
        .max(1)
        .optional()
        .describe(
          'Of two boxes of a class that overlap by more (IoU), the lower goes; default: both stay',
        ),
    })
    .describe('Boxes and scores as the model lists them'),
]);
export type BoxDecoder = z.infer<typeof boxDecoder>;

/** The detections of each sample of a batch. @throws WhittleError where the outputs are none of this kind */
export function decodeBoxes(
  decoder: BoxDecoder,
  answers: ReadonlyMap<string, Answer>,
): Detection[][] {
  if (decoder.kind === 'centre-grid') return centreGrid(decoder, [...answers.values()][0]!);
  return listed(decoder, answers.get(decoder.boxes)!, answers.get(decoder.scores)!);
}

/** Field by field: there are thousands, and spread objects are slow to make and to read. */
const detection = ({ left, top, right, bottom }: Box, c: number, score: number): Detection => ({
  left,
  top,
  right,
  bottom,
  class: c,
  score,
});

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function centreGrid(
  { stride, window = 3, threshold = 0.05 }: Extract<BoxDecoder, { kind: 'centre-grid' }>,
  { name, dims, values }: Answer,
): Detection[][] {
  const [samples = 0, channels = 0, height = 0, width = 0] = dims;
  const classes = channels - 4;
  if (dims.length !== 4 || classes < 1) throw unfit(name, dims, 'N × (classes + 4) × H × W');
  const size = height * width;
  // The sigmoid rises: local maxima above a threshold are those of the logits above its logit.
  const least = Math.log(threshold / (1 - threshold));
  return Array.from({ length: samples }, (_, sample) => {
    const from = sample * channels * size;
    const detections: Detection[] = [];
    for (let c = 0; c < classes; c++) {
      const map = { values, start: from + c * size, height, width };
      for (const { x, y, score } of peaksOf(map, window, least)) {
        const at = from + classes * size + y * width + x;
        const cx = (x + 0.5 + values[at]!) * stride;
        const cy = (y + 0.5 + values[at + size]!) * stride;
        const w = Math.exp(values[at + 2 * size]!) * stride;
        const h = Math.exp(values[at + 3 * size]!) * stride;
        detections.push(detection(toBox('centre-size', cx, cy, w, h), c, sigmoid(score)));
      }
    }
    return detections;
  });
}

function listed(
  decoder: Extract<BoxDecoder, { kind: 'boxes' }>,
  boxes: Answer,
  scores: Answer,
): Detection[][] {
  const { format = 'corners', scale = 1, threshold = 0.05, background, overlap } = decoder;
  const [samples = 0, count = 0] = boxes.dims;
  const classes = scores.dims.length === 2 ? 1 : (scores.dims[2] ?? 0);
  if (boxes.dims.length !== 3 || boxes.dims[2] !== 4)
    throw unfit(boxes.name, boxes.dims, 'N × boxes × 4');
  if (scores.values.length !== samples * count * classes || classes === 0)
    throw unfit(scores.name, scores.dims, 'N × boxes × classes');
  const factors = typeof scale === 'number' ? [scale, scale, scale, scale] : scale;
  return Array.from({ length: samples }, (_, sample) => {
    const detections: Detection[] = [];
    for (let i = sample * count; i < (sample + 1) * count; i++)
      for (let c = 0; c < classes; c++) {
        const given = scores.values[i * classes + c]!;
        const score = decoder.sigmoid ? sigmoid(given) : given;
        if (c === background || !(score > threshold)) continue;
        const [p, q, r, s] = factors.map((factor, k) => factor * boxes.values[4 * i + k]!);
        detections.push(detection(toBox(format, p!, q!, r!, s!), c, score));
      }
    return overlap === undefined ? detections : suppressed(detections, overlap);
  });
}

/** Non-maximum suppression within each class. */
function suppressed(detections: Detection[], overlap: number): Detection[] {
  const kept: Detection[] = [];
  for (const detection of detections.sort((a, b) => b.score - a.score))
    if (!kept.some((other) => other.class === detection.class && iou(other, detection) > overlap))
      kept.push(detection);
  return kept;
}

export function toBox(format: BoxFormat, p: number, q: number, r: number, s: number): Box {
  if (format === 'corners') return { left: p, top: q, right: r, bottom: s };
  const [left, top] = format === 'corner-size' ? [p, q] : [p - r / 2, q - s / 2];
  return { left, top, right: left + r, bottom: top + s };
}

/** Intersection over union. */
export function iou(a: Box, b: Box): number {
  const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (across <= 0 || down <= 0) return 0;
  const both = across * down;
  return both / (area(a) + area(b) - both);
}

const area = ({ left, top, right, bottom }: Box): number => (right - left) * (bottom - top);

const unfit = (name: string, dims: readonly number[], wanted: string): WhittleError =>
  new WhittleError(`output ${name} of ${dims.join(' × ')} is not ${wanted}`, {
    hint: 'Name the decoder that fits the model in the metric',
  });
