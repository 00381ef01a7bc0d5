/** The visible graph of a model: folding, stacks, and a plain layered layout. */
import type { Chip, GraphView, ViewEdge, ViewNode } from '../../../language/protocol';
import { costOf, type Facts, type Worked } from './engine';
import { layersOf, type Block, type Layer, type Model, type Part } from './models';

interface Item {
  readonly id: string;
  readonly parts: readonly Part[];
  readonly node: Omit<ViewNode, 'x' | 'y' | 'width' | 'height' | 'parent'>;
  /** What an open one holds. */
  readonly inside: readonly Item[] | null;
}

interface Placed {
  readonly item: Item;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly inside: readonly Placed[];
}

const GAP_Y = 36;
const GAP_X = 40;
const PADDING = 20;
const HEAD = 40;

export function viewOf(
  model: Model,
  worked: Worked,
  open: readonly string[],
  target: string,
): GraphView {
  const items = itemsOf(model.parts, model, worked, new Set(open), target);
  const all = [port(model, 'input'), ...items, port(model, 'output')];
  const owner = ownersOf(all);
  const links = linksOf(model, worked, owner);
  const { placed, width, height } = place(all, links, owner);
  const nodes: ViewNode[] = [];
  collect(placed, null, 0, 0, nodes);
  const edges = links.map(({ from, to, label, status }): ViewEdge => ({
    id: `${from}->${to}`,
    from,
    to,
    label,
    status,
  }));
  return { nodes, edges, width, height };
}

function itemsOf(
  parts: readonly Part[],
  model: Model,
  worked: Worked,
  open: ReadonlySet<string>,
  target: string,
): Item[] {
  const items: Item[] = [];
  for (let index = 0; index < parts.length;) {
    const part = parts[index]!;
    const copies = part.kind === 'block' ? equalFrom(parts, index, worked) : [part];
    if (copies.length > 1) items.push(stackItem(copies as Block[], model, worked, open, target));
    else items.push(...partItems(part, model, worked, open, target));
    index += copies.length;
  }
  return items;
}

function partItems(
  part: Part,
  model: Model,
  worked: Worked,
  open: ReadonlySet<string>,
  target: string,
): Item[] {
  const facts = layersOf([part]).map(({ id }) => worked.after.get(id)!);
  const cost = costOf(layersOf([part]), layersOf(model.parts), worked, target);
  const shared = {
    at: [part.id],
    cost,
    title: part.title,
    ...marksOf([part.id], layersOf([part]), worked),
  };
  if (part.kind === 'layer') {
    const [after] = facts;
    const layer: Item = {
      id: part.id,
      parts: [part],
      inside: null,
      node: {
        ...shared,
        id: part.id,
        kind: 'layer',
        subtitle: part.op,
        ...shapesOf(part, worked),
        open: false,
        foldable: false,
        status: after!.removed ? 'removed' : after!.family ? 'changed' : 'kept',
        family: after!.family,
        strip: [],
      },
    };
    return worked.stages.has(part.id) ? [layer, inserted(part, worked)] : [layer];
  }
  const isOpen = open.has(part.id);
  return [
    {
      id: part.id,
      parts: [part],
      inside: isOpen ? itemsOf(part.parts, model, worked, open, target) : null,
      node: {
        ...shared,
        ...blockNode([part], worked, model, target),
        id: part.id,
        kind: 'block',
        subtitle: `${layersOf([part]).length} layers`,
        open: isOpen,
        foldable: true,
      },
    },
  ];
}

function stackItem(
  copies: readonly Block[],
  model: Model,
  worked: Worked,
  open: ReadonlySet<string>,
  target: string,
): Item {
  const id = `${copies[0]!.id}…${copies.at(-1)!.id}`;
  const isOpen = open.has(id);
  return {
    id,
    parts: copies,
    inside: isOpen ? copies.flatMap((copy) => partItems(copy, model, worked, open, target)) : null,
    node: {
      id,
      kind: 'stack',
      at: copies.map((copy) => copy.id),
      title: `${copies[0]!.title} – ${copies.at(-1)!.title}`,
      subtitle: `${copies.length} × ${copies[0]!.type}`,
      ...marksOf(
        copies.map(({ id: path }) => path),
        layersOf(copies),
        worked,
      ),
      cost: costOf(layersOf(copies), layersOf(model.parts), worked, target),
      ...blockNode(copies, worked, model, target),
      open: isOpen,
      foldable: true,
    },
  };
}

/** What a block and a stack have in common. */
function blockNode(blocks: readonly Block[], worked: Worked, model: Model, target: string) {
  const [block] = blocks;
  const own = layersOf(blocks);
  const whole = costOf(own, layersOf(model.parts), worked, target).latencyMs.after!;
  const parts = block!.parts.map((part) => {
    const layers = layersOf([part]);
    return costOf(layers, layers, worked, target).latencyMs.after! * blocks.length;
  });
  const families = own
    .map(({ id }) => worked.after.get(id)!.family)
    .filter((family) => family !== null);
  const family = families.at(-1) ?? null;
  const last = layersOf([blocks.at(-1)!]).at(-1)!;
  return {
    ...shapesOf(last, worked),
    status: family ? ('changed' as const) : ('kept' as const),
    family,
    strip: parts.map((ms) => (whole > 0 ? ms / whole : 0)),
  };
}

/** The blocks from `index` on that are of the same type and went through the same. */
function equalFrom(parts: readonly Part[], index: number, worked: Worked): readonly Part[] {
  const first = parts[index] as Block;
  const sign = (block: Block) =>
    JSON.stringify([
      block.type,
      layersOf([block]).map((layer) => [
        layer.op,
        layer.shape,
        worked.after.get(layer.id),
        worked.stages.has(layer.id),
      ]),
    ]);
  const end = parts.findIndex(
    (part, place) => place > index && (part.kind !== 'block' || sign(part) !== sign(first)),
  );
  return parts.slice(index, end < 0 ? parts.length : end);
}

function shapesOf(layer: Layer, worked: Worked): { shape: string; shapeBefore: string | null } {
  const shape = (facts: Facts) => layer.shape.replaceAll('T', String(facts.tokens));
  const before = shape(worked.before.get(layer.id)!);
  const after = shape(worked.after.get(layer.id)!);
  return { shape: after, shapeBefore: before === after ? null : before };
}

/** What the recipe did, and in which step one would change the bits. */
function marksOf(at: readonly string[], layers: readonly Layer[], { steps, after }: Worked) {
  const facts = layers.map(({ id }) => after.get(id)!);
  const step = steps.findIndex(({ family }) => family === 'quantize');
  const leftOut = steps[step]?.except.some((name) => at.includes(name)) ?? false;
  const isRounded = leftOut || facts.some(({ bits }) => bits < 32);
  const float: Chip[] = leftOut ? [{ text: 'float', family: 'quantize' }] : [];
  return {
    chips: [...float, ...chipsOf(facts)],
    rounding: isRounded ? { step, leftOut } : null,
  };
}

function chipsOf(facts: readonly Facts[]): Chip[] {
  const chips: Chip[] = [];
  const touched = (of: (fact: Facts) => boolean) => facts.some(of);
  if (touched(({ bits }) => bits === 8)) chips.push({ text: 'W8A8', family: 'quantize' });
  if (touched(({ bits }) => bits === 4)) chips.push({ text: 'W4', family: 'quantize' });
  const sparse = facts.find(({ density }) => density < 1);
  if (sparse)
    chips.push({ text: `${Math.round((1 - sparse.density) * 100)} % sparse`, family: 'prune' });
  const narrow = facts.find(({ channels }) => channels < 1);
  if (narrow)
    chips.push({ text: `${Math.round(narrow.channels * 100)} % channels`, family: 'prune' });
  const few = facts.findLast(({ tokens }) => tokens < 197);
  if (few) chips.push({ text: `${few.tokens}/197 tokens`, family: 'tokens' });
  const moved = facts.find(({ device }) => device !== null);
  if (moved) chips.push({ text: moved.device!, family: 'target' });
  return chips;
}

function inserted(after: Layer, worked: Worked): Item {
  const none = { before: 0, after: 0 };
  const shares = { latency: 0, energy: 0, macs: 0, parameters: 0, activations: 0 };
  const id = `${after.id}/topk`;
  return {
    id,
    parts: [],
    inside: null,
    node: {
      id,
      kind: 'layer',
      at: [],
      title: 'topk',
      subtitle: 'TopK',
      shape: `${worked.after.get(after.id.replace(/attn.*/, 'add1'))!.tokens} tokens`,
      shapeBefore: null,
      open: false,
      foldable: false,
      status: 'inserted',
      family: 'tokens',
      chips: [],
      rounding: null,
      strip: [],
      cost: {
        macs: none,
        parameters: none,
        latencyMs: { before: null, after: null },
        energyMj: none,
        activationBytes: none,
        share: { ...shares, latency: null },
        bound: '',
        unknown: 'TopK is not in this profile',
      },
    },
  };
}

function port(model: Model, kind: 'input' | 'output'): Item {
  const { name, shape } = model[kind];
  const nothing = { before: 0, after: 0 };
  const share = { latency: 0, energy: 0, macs: 0, parameters: 0, activations: 0 };
  return {
    id: name,
    parts: [],
    inside: null,
    node: {
      id: name,
      kind,
      at: [],
      title: name,
      subtitle: kind,
      shape,
      shapeBefore: null,
      open: false,
      foldable: false,
      status: 'kept',
      family: null,
      chips: [],
      rounding: null,
      strip: [],
      cost: {
        macs: nothing,
        parameters: nothing,
        latencyMs: nothing,
        energyMj: nothing,
        activationBytes: nothing,
        share,
        bound: '',
        unknown: null,
      },
    },
  };
}

// ---- edges

interface Link {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly status: ViewEdge['status'];
}

/** Layer or port → the visible node that stands for it. */
function ownersOf(items: readonly Item[]): Map<string, string> {
  const owner = new Map<string, string>();
  const visit = (item: Item) => {
    if (item.inside) item.inside.forEach(visit);
    else {
      owner.set(item.id, item.id);
      for (const layer of layersOf(item.parts)) owner.set(layer.id, item.id);
    }
  };
  items.forEach(visit);
  return owner;
}

function linksOf(model: Model, worked: Worked, owner: ReadonlyMap<string, string>): Link[] {
  const links = new Map<string, Link>();
  const add = (from: string | undefined, to: string | undefined, label: string) => {
    if (from === undefined || to === undefined || from === to) return;
    const isNew = from.endsWith('/topk') || to.endsWith('/topk');
    links.set(`${from}->${to}`, { from, to, label, status: isNew ? 'inserted' : 'kept' });
  };
  const layers = new Map(layersOf(model.parts).map((layer) => [layer.id, layer]));
  for (const layer of layers.values()) {
    for (const from of layer.from) {
      const source = layers.get(from);
      const label = source ? shapesOf(source, worked).shape : model.input.shape;
      add(owner.get(from), owner.get(layer.id), label);
    }
    if (owner.has(`${layer.id}/topk`)) add(owner.get(layer.id), `${layer.id}/topk`, '');
  }
  const last = layers.get(model.output.from)!;
  add(owner.get(last.id), model.output.name, shapesOf(last, worked).shape);
  return [...links.values()];
}

// ---- layout

function place(
  items: readonly Item[],
  links: readonly Link[],
  owner: ReadonlyMap<string, string>,
): { placed: Placed[]; width: number; height: number } {
  const member = new Map<string, Item>();
  const claim = (item: Item, top: Item) => {
    member.set(item.id, top);
    item.inside?.forEach((child) => claim(child, top));
  };
  items.forEach((item) => claim(item, item));
  const rank = new Map<Item, number>(items.map((item) => [item, 0]));
  for (let round = 0; round < items.length; round++)
    for (const { from, to } of links) {
      const [a, b] = [member.get(from), member.get(to)];
      if (a && b && a !== b) rank.set(b, Math.max(rank.get(b)!, rank.get(a)! + 1));
    }
  const rows: Item[][] = [];
  for (const item of items) (rows[rank.get(item)!] ??= []).push(item);
  const boxes = new Map(items.map((item) => [item, boxOf(item, links, owner)]));
  const widths = rows.map((row) =>
    row.reduce((sum, item) => sum + boxes.get(item)!.width + GAP_X, -GAP_X),
  );
  const width = Math.max(...widths);
  const placed: Placed[] = [];
  let y = 0;
  rows.forEach((row, index) => {
    let x = (width - widths[index]!) / 2;
    for (const item of row) {
      const box = boxes.get(item)!;
      placed.push({ item, x, y, ...box });
      x += box.width + GAP_X;
    }
    y += Math.max(...row.map((item) => boxes.get(item)!.height)) + GAP_Y;
  });
  return { placed, width, height: y - GAP_Y };
}

function boxOf(item: Item, links: readonly Link[], owner: ReadonlyMap<string, string>) {
  const { kind } = item.node;
  if (!item.inside) {
    if (kind === 'input' || kind === 'output') return { width: 168, height: 40, inside: [] };
    return kind === 'layer'
      ? { width: 220, height: 66, inside: [] }
      : { width: 280, height: 84, inside: [] };
  }
  const { placed, width, height } = place(item.inside, links, owner);
  return {
    width: width + 2 * PADDING,
    height: height + HEAD + PADDING,
    inside: placed.map((child) => ({ ...child, x: child.x + PADDING, y: child.y + HEAD })),
  };
}

function collect(
  placed: readonly Placed[],
  parent: string | null,
  x: number,
  y: number,
  nodes: ViewNode[],
): void {
  for (const box of placed) {
    const at = { x: x + box.x, y: y + box.y };
    nodes.push({ ...box.item.node, parent, ...at, width: box.width, height: box.height });
    collect(box.inside, box.item.id, at.x, at.y, nodes);
  }
}
