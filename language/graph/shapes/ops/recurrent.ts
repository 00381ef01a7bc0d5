/** Recurrent layers: X [sequence, batch, input], or [batch, sequence, input] with layout 1. */
import type { Rule, Rules } from '../call';

/** Y for every step, then one final state for each output left. */
export const recurrent: Rule = (call) => {
  const hidden = call.int('hidden_size') ?? call.input(2).shape?.at(-1) ?? null;
  const directions = call.text('direction', 'forward') === 'bidirectional' ? 2 : 1;
  const [first, second] = [call.dim(0, 0), call.dim(0, 1)];
  const batchFirst = call.int('layout', 0) === 1;
  const y = batchFirst ? [first, second, directions, hidden] : [first, directions, second, hidden];
  const state = batchFirst ? [first, directions, hidden] : [directions, second, hidden];
  return call.node.outputs.map((_, i) => call.like(i === 0 ? y : state));
};

export const recurrence: Rules = { RNN: recurrent, GRU: recurrent, LSTM: recurrent };
