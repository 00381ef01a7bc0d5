/** Finds feed-forward blocks: two layers with an activation between, gated by a third or not. */
import type { Activation, Activations } from './activation';
import type { Linear, Linears } from './linear';
import type { Residual } from './residual';
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
  /** The sum that adds the result to the stream; undefined where the layers stand by themselves. */
  readonly residual: string | undefined;
}
type Core = Omit<Mlp, 'residual'>;

export function findMlps(
  view: View,
  linears: Linears,
  activations: Activations,
  residuals: readonly Residual[],
): Mlp[] {
  const sums = new Map(
    residuals.flatMap(({ sum, stream, branch }) =>
      [stream, branch].map((value) => [behindGate(view, value), sum] as const),
    ),
  );
  return linears.all.flatMap((down) => {
    if (down.isConvolution) return [];
    const found =
      plain(view, linears, activations, down) ?? gated(view, linears, activations, down);
    return found ? [{ ...found, residual: sums.get(down.output) }] : [];
  });
}

function plain(
  view: View,
  linears: Linears,
  activations: Activations,
  down: Linear,
): Core | undefined {
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
): Core | undefined {
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

/** The value that a factor for the branch, of a modulation or learned, is multiplied to. */
function behindGate(view: View, value: string): string {
  const at = behind(view, value);
  const gate = view.graph.producer(at);
  if (gate?.op !== 'Mul') return at;
  const [a = '', b = ''] = gate.inputs;
  const isFactor = (one: string, other: string) =>
    view.isStatic(one) || view.dim(one, -2) === 1 || view.position(one) < view.position(other);
  return behind(view, isFactor(a, b) ? b : a);
}

/** The layer that makes a value, all of it. */
const layerOf = (view: View, linears: Linears, value: string): Linear | undefined =>
  linears.byValue.get(behind(view, value));

/** The layer that makes a value or more, of which the value is one half. */
function partOfLayer(view: View, linears: Linears, value: string): Linear | undefined {
  const cuts = (op: string) => op === 'Split' || op === 'Slice' || op === 'Gather';
  const source = view.source(
    value,
    (node) => isPassing(node) || isRearranging(node) || cuts(node.op),
  );
  return linears.byValue.get(source);
}
