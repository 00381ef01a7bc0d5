/** Optimiser steps (ai.onnx.preview.training): inputs are a rate, a step count, then groups of tensors. */
import type { Rule, Rules } from '../call';

/** Each output is an updated input: of the first group, then of those after the gradients. */
const optimiser =
  (groups: number): Rule =>
  (call) => {
    const size = Math.floor((call.inputs.length - 2) / groups);
    return call.node.outputs.map((_, i) => {
      const group = Math.floor(i / Math.max(1, size));
      return call.inputs[2 + (group === 0 ? i : i + size)];
    });
  };

export const training: Rules = {
  Adagrad: optimiser(3),
  Adam: optimiser(4),
  Momentum: optimiser(3),
  Gradient: (call) => call.node.outputs.map((_, i) => call.inputs[i]),
};
