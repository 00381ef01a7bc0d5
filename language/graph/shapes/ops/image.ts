/** Resizing and resampling. */
import type { Dim, Shape } from '../../../onnx/model';
import { fixedShape } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { axisOf, floorOf, multiply } from '../dims';
import { tensorOf } from '../values';
import { requestedShape } from './reshaping';

/** Inputs are X and scales in opset 10; X, roi, scales and sizes since. */
const resize: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return call.like(undefined);
  const [scalesAt, sizesAt] = call.version < 11 || call.inputs.length === 2 ? [1, -1] : [2, 3];
  const axes = call.ints('axes')?.map((axis) => axisOf(axis, x.length)) ?? x.map((_, i) => i);
  const sizes = call.has(sizesAt) ? requestedShape(call, sizesAt) : undefined;
  if (sizes?.length) return call.like(resizeTo(call, x, axes, sizes));
  return call.like(resizeBy(x, axes, call.known(scalesAt)?.elements));
};

/** A region of interest changes what is sampled, not the size, as the runtime has it. */
function resizeBy(x: Shape, axes: readonly number[], scales: readonly Dim[] | undefined): Shape {
  const shape = [...x];
  axes.forEach((axis, i) => (shape[axis] = scaled(x[axis]!, scales?.[i] ?? null)));
  return shape;
}

/** ⌊size · scale⌋, in the runtime's single precision where both are numbers. */
const scaled = (size: Dim, scale: Dim): Dim =>
  typeof size === 'number' && typeof scale === 'number'
    ? Math.floor(Math.fround(Math.fround(size) * Math.fround(scale)))
    : scale === 1
      ? size
      : floorOf(multiply(size, scale));

/** Sizes as given, or one scale for all axes that fits into them or covers them. */
function resizeTo(call: Call, x: Shape, axes: readonly number[], sizes: readonly Dim[]): Shape {
  const policy = call.text('keep_aspect_ratio_policy', 'stretch');
  const shape = [...x];
  axes.forEach((axis, i) => (shape[axis] = sizes[i] ?? null));
  if (policy === 'stretch') return shape;
  const [from, to] = [fixedShape(axes.map((axis) => x[axis]!)), fixedShape(sizes)];
  const ratios = from && to ? to.map((size, i) => size / from[i]!) : undefined;
  const scale = ratios && (policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios));
  axes.forEach((axis, i) => {
    shape[axis] = scale === undefined ? null : Math.floor(scale * from![i]! + 0.5);
  });
  return shape;
}

/** Scales are attributes before opset 9. */
const upsample: Rule = (call) => {
  const x = call.input(0).shape;
  if (!x) return call.like(undefined);
  const listed = call.attribute('scales');
  const scales = listed?.kind === 'floats' ? listed.value : call.known(1)?.elements;
  const twoAxes = [1, 1, call.float('height_scale', 1), call.float('width_scale', 1)];
  const given = scales ?? (call.hasAttribute('height_scale') ? twoAxes : undefined);
  return call.like(x.map((dim, axis) => scaled(dim, given?.[axis] ?? null)));
};

/** X [N, C, …] sampled at a grid [N, …, axes]. */
const gridSample: Rule = (call) => {
  const x = call.input(0).shape;
  const grid = call.input(1).shape;
  return call.like(x && grid && [x[0] ?? null, x[1] ?? null, ...grid.slice(1, -1)]);
};

/** Input 1 is the image's size [N, C, …]; the grid is [N, …, axes]. */
const affineGrid: Rule = (call) => {
  const size = requestedShape(call, 1);
  return call.like(size && [size[0] ?? null, ...size.slice(2), size.length - 2]);
};

const imageDecoder: Rule = (call) =>
  tensorOf('uint8', [null, null, call.text('pixel_format', 'RGB') === 'Grayscale' ? 1 : 3]);

export const image: Rules = {
  Resize: resize,
  Upsample: upsample,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  ImageDecoder: imageDecoder,
};
