/** How operators bring channels together: one rule for each that is understood, by the operator's name. */
import { Untold } from '../../../errors';
import { stringAttribute } from '../../graph';
import { ARRANGEMENTS, keptWhere } from './arrange';
import { fresh, isLabel, stretched, type Axis } from './labels';
import type { Site } from './marks';

export type Rule = (site: Site) => void;

const SPATIAL = 'it is a place, not a channel';

/** Each element of the result is made of those at its place. */
const ELEMENTWISE =
  `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp
Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish
Mod Mul Neg Not Or Pow PRelu QuickGelu Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub
Sum Swish Tan Tanh ThresholdedRelu Where Xor`.split(/\s+/);

const elementwise: Rule = (site) => {
  const given = site.node.inputs.flatMap((name, input) => (name ? [input] : []));
  site.useAlong(...given);
  site.set(0, site.broadcast(given.map((input) => site.axes(input))));
};

/** The same elements, in another type at most. */
const handOn: Rule = (site) => {
  const axes = site.axes(0);
  site.handOn([...axes.keys()]);
  site.set(0, axes);
  if (site.node.outputs[1]) site.set(1, axes);
};

/** To or from integers, with scales for all elements or along one axis. */
const quantise: Rule = (site) => {
  const axes = site.axes(0);
  if (site.int('block_size', 0) !== 0) throw new Untold('it has scales by blocks');
  const scales = [1, 2].filter((input) => site.has(input) && site.axes(input).some(isLabel));
  const axis = scales.length > 0 ? site.axis(1) : 0;
  for (const input of scales) {
    const own = site.axes(input);
    if (own.length !== 1) throw new Untold('it has scales along several axes');
    site.bring(axes[axis] ?? 'free', own[0]!);
  }
  const along = scales.flatMap((input) =>
    site.originsOf(input).map((origin) => ({ ...origin, axes: origin.axes.map(() => axis) })),
  );
  const isWeight = site.originsOf(0).length > 0;
  if (!isWeight) site.useAlong(...scales);
  site.handOn([...axes.keys()], isWeight ? along : []);
  site.set(0, axes);
};

const convolution: Rule = (site) => convolve(site, { out: 0, in: 1 });
const transposedConvolution: Rule = (site) => convolve(site, { out: 1, in: 0 });

/** `is` says which axes of the weight are for the channels made and read; in groups, the second is within a group. */
function convolve(site: Site, is: { out: 0 | 1; in: 0 | 1 }): void {
  const [x, w] = [site.axes(0), site.axes(1)];
  const groups = site.int('group', 1);
  const counts = { out: site.dim(1, is.out), in: site.dim(1, is.in) };
  counts[is.out === 1 ? 'out' : 'in'] *= groups;
  if (x.length !== w.length || x.length < 3 || site.dim(0, 1) !== counts.in)
    throw new Untold('its weight does not fit its input');
  for (const axis of [...x.slice(2), ...w.slice(2)]) site.block(axis, SPATIAL);
  const out = groups === 1 ? plain(site, w[is.in]!, w[is.out]!) : grouped(site, groups, counts);
  site.use(1, (axis) => (axis === is.out ? 'makes' : axis === is.in ? 'reads' : undefined));
  if (site.has(2)) {
    site.bring(out, site.axes(2)[0] ?? 'free');
    site.useAlong(2);
  }
  const places = site.shapeOfOutput().slice(2);
  site.set(0, [x[0]!, out, ...places.map((dim) => site.opaque(dim, SPATIAL))]);
}

function plain(site: Site, read: Axis, made: Axis): Axis {
  site.bring(site.axes(0)[1]!, read);
  return made;
}

/** Whole groups can go: each with what it reads, what it makes and its part of the weight. */
function grouped(site: Site, groups: number, counts: { out: number; in: number }): Axis {
  if (counts.out % groups !== 0 || counts.in % groups !== 0)
    throw new Untold('its channels do not divide into its groups');
  const each = fresh(groups);
  const out = stretched(each, counts.out / groups);
  const read = stretched(each, counts.in / groups);
  const [first, second] = site.axes(1);
  site.bring(site.axes(0)[1]!, read);
  site.bring(first!, counts.out === site.dim(1, 0) ? out : read);
  site.block(second, 'it is within a group');
  site.measure({ attribute: 'group' }, [groups], [{ element: 0, label: each }]);
  return out;
}

const matmul: Rule = (site) => {
  const [a, b] = [site.axes(0), site.axes(1)];
  if (a.length < 2 || b.length < 2) throw new Untold('it multiplies a vector');
  site.bring(a.at(-1)!, b.at(-2)!);
  const lead = site.broadcast([a.slice(0, -2), b.slice(0, -2)]);
  site.use(0, (axis) => (axis === a.length - 1 ? 'reads' : 'makes'));
  site.use(1, (axis) => (axis === b.length - 2 ? 'reads' : 'makes'));
  site.set(0, [...lead, a.at(-2)!, b.at(-1)!]);
};

const gemm: Rule = (site) => {
  const [a, b] = [site.axes(0), site.axes(1)];
  if (a.length !== 2 || b.length !== 2) throw new Untold('it does not multiply matrices');
  const [left, right] = [site.int('transA', 0), site.int('transB', 0)] as const;
  if ([left, right].some((flag) => flag !== 0 && flag !== 1))
    throw new Untold('it is transposed in an unknown way');
  site.bring(a[1 - left]!, b[right]!);
  site.use(0, (axis) => (axis === 1 - left ? 'reads' : 'makes'));
  site.use(1, (axis) => (axis === right ? 'reads' : 'makes'));
  const made = [a[left]!, b[1 - right]!];
  if (site.has(2)) {
    site.broadcast([made, site.axes(2)]);
    site.useAlong(2);
  }
  site.set(0, made);
};

/** One number for each channel on axis 1, in each of the other inputs. */
const channelNorm: Rule = (site) => {
  if (site.int('spatial', 1) !== 1) throw new Untold('it normalises each place by itself');
  const axes = site.axes(0);
  const others = site.node.inputs.flatMap((name, input) => (name && input > 0 ? [input] : []));
  for (const input of others) site.bring(axes[1] ?? 'free', site.axes(input)[0] ?? 'free');
  site.useAlong(...others);
  site.set(0, axes);
};

/** Numbers for the last axes, which are normalised together. */
const layerNorm: Rule = (site) => {
  const axes = site.axes(0);
  const from = site.axis(-1);
  const others = [1, 2].filter((input) => site.has(input));
  for (const input of others) {
    if (site.axes(input).length > axes.length - from)
      throw new Untold('its scale has more axes than it normalises');
    site.broadcast([axes, site.axes(input)]);
  }
  site.useAlong(...others);
  site.set(0, axes);
};

const groupNorm: Rule = (site) => {
  const axes = site.axes(0);
  const groups = site.int('num_groups', 0);
  const channels = site.dim(0, 1);
  if (groups < 1 || channels % groups !== 0)
    throw new Untold('its channels do not divide into its groups');
  const each = fresh(groups);
  site.bring(axes[1]!, stretched(each, channels / groups));
  site.measure({ attribute: 'num_groups' }, [groups], [{ element: 0, label: each }]);
  for (const input of [1, 2]) {
    const isByGroup = site.dim(input, 0) === groups && channels !== groups;
    site.bring(isByGroup ? each : axes[1]!, site.axes(input)[0]!);
  }
  site.useAlong(1, 2);
  site.set(0, axes);
};

const pooling: Rule = (site) => {
  if (site.node.outputs[1]) throw new Untold('it says which elements it took');
  site.set(
    0,
    keptWhere(site, (axis) => axis < 2),
  );
};

/** Fewer channels leave the mean or the extreme of them what it is: one over the channels that there are. */
const reduceAny: Rule = (site) => reduce(site, false);
/** Fewer channels make a sum over them another quantity, which a constant may be made for. */
const reduceOthers: Rule = (site) => reduce(site, true);

function reduce(site: Site, keepsAll: boolean): void {
  const all = site.axes(0);
  const named = site.has(1) || site.ints('axes') !== undefined;
  const reduced = named ? site.view.axes(site.node) : [...all.keys()];
  if (!reduced || reduced.length === 0 || site.int('noop_with_empty_axes', 0) !== 0)
    throw new Untold('the axes that it reduces are not known');
  if (keepsAll) for (const axis of reduced) site.block(all[axis], 'it sums over this axis');
  site.useAlong(0);
  const keeps = site.int('keepdims', 1) === 1;
  site.set(
    0,
    all.flatMap((label, axis): Axis[] => {
      if (!reduced.includes(axis)) return [label];
      return keeps ? ['one'] : [];
    }),
  );
}

/** Along an axis each element depends on all others. */
const alongAxis: Rule = (site) => {
  const axes = site.axes(0);
  const isFlat = site.view.graph.opset < 13 && site.node.op !== 'LpNormalization';
  const axis = site.axis(isFlat ? 1 : -1);
  axes.forEach((label, i) => {
    if (i === axis || (isFlat && i > axis)) site.block(label, 'it works along this axis');
  });
  site.set(0, axes);
};

const cumulate: Rule = (site) => {
  const axes = site.axes(0);
  const at = site.view.scalar(site.node.inputs[1]);
  if (at === undefined) throw new Untold('the axis that it sums along is not known');
  site.block(axes.at(at), 'it works along this axis');
  site.set(0, axes);
};

const resize: Rule = (site) => {
  const [from, to] = [site.view.shape(site.node.inputs[0] ?? '') ?? [], site.shapeOfOutput()];
  const mode = stringAttribute(site.node, 'coordinate_transformation_mode', '');
  const scales = site.has(3) ? undefined : site.view.numbers(site.node.inputs[2]);
  const isUsual = site.view.graph.opset >= 11 && mode !== 'tf_crop_and_resize';
  if (!isUsual || site.ints('axes') || (!scales && !site.has(3)))
    throw new Untold('it resizes in a way that is not understood');
  const axes = keptWhere(site, (axis) => {
    const isSame = from[axis] !== null && from[axis] === to[axis];
    return isSame && (!scales || scales[axis] === 1);
  });
  if (site.has(3)) {
    const elements = to.map((dim) => (typeof dim === 'number' ? dim : undefined));
    const measured = axes.flatMap((label, element) => (isLabel(label) ? [{ element, label }] : []));
    site.measure({ input: 3 }, elements, measured);
  }
  site.set(0, axes);
};

const of = (rule: Rule, ...ops: readonly string[]): Record<string, Rule> =>
  Object.fromEntries(ops.map((op) => [op, rule]));

/** By operator of the default domain; those that ONNX Runtime puts into it or keeps in its own, likewise. */
const RULES: ReadonlyMap<string, Rule> = new Map(
  Object.entries({
    ...ARRANGEMENTS,
    ...of(elementwise, ...ELEMENTWISE),
    ...of(handOn, 'Identity', 'Cast', 'Dropout'),
    ...of(quantise, 'QuantizeLinear', 'DequantizeLinear'),
    Conv: convolution,
    ConvTranspose: transposedConvolution,
    MatMul: matmul,
    Gemm: gemm,
    ...of(channelNorm, 'BatchNormalization', 'InstanceNormalization'),
    ...of(layerNorm, 'LayerNormalization', 'RMSNormalization', 'SimplifiedLayerNormalization'),
    GroupNormalization: groupNorm,
    ...of(pooling, 'MaxPool', 'AveragePool', 'LpPool'),
    ...of(pooling, 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'),
    ...of(reduceAny, 'ReduceMean', 'ReduceMax', 'ReduceMin'),
    ...of(reduceOthers, 'ReduceSum', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2', 'ReduceProd'),
    ...of(reduceOthers, 'ReduceLogSum', 'ReduceLogSumExp'),
    ...of(alongAxis, 'Softmax', 'LogSoftmax', 'Hardmax', 'LpNormalization'),
    CumSum: cumulate,
    Resize: resize,
  }),
);

const DOMAINS = new Set(['', 'ai.onnx']);

export const ruleFor = (domain: string, op: string): Rule | undefined =>
  DOMAINS.has(domain) ? RULES.get(op) : undefined;
