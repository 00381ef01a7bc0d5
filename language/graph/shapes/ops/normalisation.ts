/** Normalisations, and the losses that end a training graph. */
import { elementTypeOf as elementTypeOfCode } from '../../../onnx/schema';
import type { Call, Rule, Rules } from '../call';
import { axisOf } from '../dims';
import { scalarOf, tensorOf } from '../values';
import { sameAsInput } from './elementwise';

/** Statistics beside y have one element per channel, as the scale has. */
const batchNormalization: Rule = (call) => {
  const y = call.like(call.input(0).shape);
  const statistics = call.like(call.shape(1), 1);
  return [y, ...call.node.outputs.slice(1).map(() => statistics)];
};

/** Mean and inverse deviation keep the axes before `axis` and shrink the others to 1. */
export const layerNormalization: Rule = (call) => {
  const x = call.input(0).shape;
  const first = x && axisOf(call.int('axis', -1), x.length);
  const statistics = tensorOf(
    elementTypeOfCode(call.int('stash_type', 1)),
    x?.map((dim, axis) => (axis < first! ? dim : 1)),
  );
  return [call.like(x), ...call.node.outputs.slice(1).map(() => statistics)];
};

/** The loss is one number, or one per label without reduction. */
function lossOf(call: Call) {
  call.input(1);
  return call.text('reduction', 'mean') === 'none'
    ? call.like(call.shape(1))
    : scalarOf(call.type(0));
}

export const normalisation: Rules = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  /** ONNX Runtime's own, which it keeps in the default domain. */
  SimplifiedLayerNormalization: layerNormalization,
  GroupNormalization: sameAsInput,
  InstanceNormalization: sameAsInput,
  LpNormalization: sameAsInput,
  LRN: sameAsInput,
  MeanVarianceNormalization: sameAsInput,
  RMSNormalization: sameAsInput,
  NegativeLogLikelihoodLoss: (call) => lossOf(call),
  SoftmaxCrossEntropyLoss: (call) => [lossOf(call), call.like(call.shape(0))],
};
