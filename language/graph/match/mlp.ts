/** Finds feed-forward blocks: two layers with an activation between, gated by a third or not. */
import type { Activation, Activations } from './activation';
import type { Linear, Linears } from './linear';
import { isPassing, isRearranging, type View } from './view';

export interface Mlp {
  readonly kind: 'plain' | 'gated';
  readonly up: Linear;
  /** The layer whose result the activation turns into the gate; `up` itself where one layer makes both. */
  readonly gate: Linear | undefined;
  readonly down: Linear;
  readonly activation: Activation;
  /** The product with the gate. */
  readonly product: string | undefined;
  /** Features between up and down; undefined where a shape is not known. */
  readonly hidden: number | undefined;
}

export function findMlps(view: View, linears: Linears, activations: Activations): Mlp[] {
  return linears.all.flatMap((down) => {
    if (down.isConvolution) return [];
    const found = plain(view, linears, activations, down) ?? gated(view, linears, activations, down);
    return found ? [found] : [];
  });
}

function plain(
  view: View,
  linears: Linears,
  activations: Activations,
  down: Linear,
): Mlp | undefined {
  const activation = activations.byOutput.get(behind(view, down.input));
  const up = activation && layerOf(view, linears, activation.input);
  if (!up || up.isConvolution) return undefined;
  const hidden = down.from ?? up.to;
  if (up.to !== undefined && up.to !== hidden) return undefined;
  return { kind: 'plain', up, gate: undefined, down, activation, product: undefined, hidden };
}

function gated(
  view: View,
  linears: Linears,
  activations: Activations,
  down: Linear,
): Mlp | undefined {
  const product = view.graph.producer(behind(view, down.input));
  if (product?.op !== 'Mul') return undefined;
  const [a = '', b = ''] = product.inputs;
  for (const [gateSide, upSide] of [
    [a, b],
    [b, a],
  ] as const) {
    const activation = activations.byOutput.get(view.source(gateSide));
    if (!activation) continue;
    const gate = partOfLayer(view, linears, activation.input);
    const up = partOfLayer(view, linears, upSide);
    if (!gate || !up || up.isConvolution) continue;
    const hidden = down.from ?? (gate === up ? undefined : up.to);
    return { kind: 'gated', up, gate, down, activation, product: product.id, hidden };
  }
  return undefined;
}

const behind = (view: View, value: string): string => view.source(value, isRearranging);

/** The layer that makes a value, all of it. */
const layerOf = (view: View, linears: Linears, value: string): Linear | undefined =>
  linears.byValue.get(behind(view, value));

/** The layer that makes a value or more, of which the value is one half. */
function partOfLayer(view: View, linears: Linears, value: string): Linear | undefined {
  const cuts = (op: string) => op === 'Split' || op === 'Slice' || op === 'Gather';
  const source = view.source(value, (node) => isPassing(node) || isRearranging(node) || cuts(node.op));
  return linears.byValue.get(source);
}
