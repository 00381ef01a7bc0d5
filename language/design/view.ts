/** The picture that the designer draws: the visible part of a model before and after its recipe, laid out. */
import { layersOf } from '../graph/blocks';
import type { Facts } from '../graph/facts';
import { nestedLayout, type Box, type Nested, type Wire } from '../graph/layout/nested';
import type { GraphView, ViewNode } from '../protocol';
import { cardOf, type Card, type TargetTitle } from './cards';
import { comfortable, fold, membersOf, type Shown } from './fold';
import { linesOf, visibleParts } from './lines';
import type { Looking, Side } from './looks';
import type { Merged } from './merge';
import { NO_ROUNDINGS, type Roundings } from './rounding';
import { sceneOf, type Scene } from './scene';
import { CARD_SIZES, MARGIN, OPEN_FRAME } from './sizes';
import { gather, terminalCard, type Gathered } from './terminals';

export type { Side } from './looks';
export type { LayerNumbers } from './costs';

export interface ViewRequest extends Looking {
  /** Ids of open blocks and stacks. */
  readonly open: ReadonlySet<string>;
  /** How targets are called on cards; their ids by default. */
  readonly targetTitle?: TargetTitle;
  readonly roundings?: Roundings;
}

/** More inputs or outputs than this stand by the layers that they belong to, instead of in one row. */
const MOST_IN_A_ROW = 6;

export function graphView(request: ViewRequest): GraphView {
  const scene = sceneOf(request);
  const shown = openedParts(scene, request.open);
  const visible = visibleParts(shown);
  const terminals = gather(scene.merged.terminals, scene.merged.flowing, visible);
  for (const { id, members } of terminals) for (const member of members) visible.set(member.id, id);
  const lines = linesOf(visible, scene);
  const boxes = [
    ...terminalBoxes(terminals.filter(({ kind }) => kind === 'input')),
    ...shown.map(boxOf),
    ...terminalBoxes(terminals.filter(({ kind }) => kind === 'output')),
  ];
  const layout = layoutOf(scene.merged, boxes, lines);
  const shift = (at: number) => Math.round(at) + MARGIN;
  const place = (card: Card): ViewNode => {
    const { x, y, width, height } = layout.boxes.get(card.id)!;
    return {
      ...card,
      x: shift(x),
      y: shift(y),
      width: Math.round(width),
      height: Math.round(height),
    };
  };
  const { roundings = NO_ROUNDINGS } = request;
  const title = request.targetTitle ?? ((target: string) => target);
  return {
    nodes: [
      ...terminals.map((terminal) => place(terminalCard(terminal, scene))),
      ...withInner(shown).map((part) => place(cardOf(part, scene, title, roundings))),
    ],
    edges: lines.map((line, i) => ({
      ...line,
      route: layout.routes[i]!.map(({ x, y }) => ({ x: shift(x), y: shift(y) })),
    })),
    width: Math.round(layout.width) + 2 * MARGIN,
    height: Math.round(layout.height) + 2 * MARGIN,
  };
}

interface Drawn {
  /** All that a layout depends on. */
  readonly key: string;
  readonly layout: Nested;
}

const drawn = new WeakMap<Merged, Drawn>();

/** The layout of a picture; the last one as long as the same boxes and lines are drawn. */
function layoutOf(merged: Merged, boxes: readonly Box[], lines: readonly Wire[]): Nested {
  const key = JSON.stringify([boxes, lines.map(({ from, to }) => [from, to])]);
  const last = drawn.get(merged);
  if (last?.key === key) return last.layout;
  const layout = nestedLayout(boxes, lines, OPEN_FRAME);
  drawn.set(merged, { key, layout });
  return layout;
}

const comfortableOpen = new WeakMap<Facts, ReadonlySet<string>>();

/** The blocks to open when nobody has chosen yet; kept with the model's facts, while its recipe changes. */
export function defaultOpen(model: Side): ReadonlySet<string> {
  let open = comfortableOpen.get(model.facts);
  if (!open) {
    const scene = sceneOf({ before: model, after: model, families: new Map() });
    open = comfortable(scene.tree, scene.structures, model.graph);
    comfortableOpen.set(model.facts, open);
  }
  return open;
}

/** By the id of each visible part: the nodes of the original model that are drawn in it. */
export function layersShown(request: ViewRequest): ReadonlyMap<string, readonly string[]> {
  const scene = sceneOf(request);
  return new Map(
    withInner(openedParts(scene, request.open)).map(({ id, part }) => [
      id,
      membersOf(part)
        .flatMap(layersOf)
        .flatMap(({ node }) => scene.merged.layers.get(node.id)?.before?.id ?? []),
    ]),
  );
}

/** By layer of the original model, the innermost visible node that it is drawn in: frames come before what they hold. */
export function drawnIn(request: ViewRequest): ReadonlyMap<string, string> {
  const drawn = new Map<string, string>();
  for (const [id, layers] of layersShown(request)) for (const layer of layers) drawn.set(layer, id);
  return drawn;
}

const openedParts = (scene: Scene, open: ReadonlySet<string>): readonly Shown[] =>
  fold(scene.tree, scene.structures, open, scene.before.graph);

/** Frames before what they hold. */
const withInner = (shown: readonly Shown[]): Shown[] =>
  shown.flatMap((part) => [part, ...withInner(part.inside ?? [])]);

function boxOf({ id, part, inside }: Shown): Box {
  const size = CARD_SIZES[part.kind];
  return inside ? { id, ...size, inside: inside.map(boxOf) } : { id, ...size };
}

function terminalBoxes(terminals: readonly Gathered[]): Box[] {
  const inRow = terminals.length <= MOST_IN_A_ROW;
  return terminals.map(({ id, kind }) => {
    const pin = kind === 'input' ? 'top' : 'bottom';
    return { id, ...CARD_SIZES[kind], ...(inRow && { pin }) };
  });
}
