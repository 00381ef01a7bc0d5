/** Makes groups of channels larger or smaller: constants get or lose places, sizes that nodes are told follow. */
import type { Graph } from '../graph/graph';
import type { ChannelGroup, Member, SizeChange } from '../graph/match/channels';
import type { Tensor } from '../onnx/model';
import { elementBits } from '../onnx/schema';
import { packInt64, tensorBytes } from '../onnx/tensor';

/** How many units a group gets at its end, or which of its units go. */
export type GroupChange =
  | { readonly group: ChannelGroup; readonly added: number }
  | { readonly group: ChannelGroup; readonly removed: readonly number[] };

/**
 * Changes all groups at once, since several may lie along one axis. New units change no result: what makes them and what goes
 * along repeats the last one, so that they hold what that one holds, whatever lies between; what reads them multiplies them
 * by zero. Units that go take what they carried with them.
 */
export function resizeChannels(graph: Graph, changes: readonly GroupChange[]): void {
  for (const { value, axis, insertions, gone } of changedAxes(changes).values()) {
    const tensor = graph.constant(value)!;
    const from = sources(tensor.dims[axis]!, insertions, gone);
    graph.setConstant(value, rearranged(tensor, axis, from));
  }
  for (const size of newSizes(changes).values()) resize(graph, size);
  graph.dropValueInfos(() => false);
}

/** New places along an axis, before one of the places that were there. */
interface Insertion {
  readonly before: number;
  /** Elements of the last unit, which stand right before. */
  readonly block: number;
  readonly count: number;
  readonly fill: 'repeat' | 'zero';
}

interface ChangedAxis {
  readonly value: string;
  readonly axis: number;
  readonly insertions: Insertion[];
  readonly gone: Set<number>;
}

/** A constant that several nodes read, or that comes up for several groups, changes once along each axis. */
function changedAxes(changes: readonly GroupChange[]): Map<string, ChangedAxis> {
  const axes = new Map<string, ChangedAxis>();
  const axisOf = ({ value, axis }: Member): ChangedAxis => {
    const key = `${axis} ${value}`;
    let changed = axes.get(key);
    if (!changed) axes.set(key, (changed = { value, axis, insertions: [], gone: new Set() }));
    return changed;
  };
  const insert = (member: Member, units: number, rest: Pick<Insertion, 'count' | 'fill'>) => {
    const { insertions } = axisOf(member);
    for (const { offset, block } of member.spans) {
      const before = offset + units * block;
      if (insertions.every((known) => known.before !== before))
        insertions.push({ before, block, ...rest });
    }
  };
  for (const change of changes) {
    const { producers, consumers, units } = change.group;
    if ('removed' in change) {
      for (const member of [...producers, ...consumers])
        for (const place of placesOf(member, change.removed)) axisOf(member).gone.add(place);
      continue;
    }
    for (const member of producers) insert(member, units, { count: change.added, fill: 'repeat' });
    for (const member of consumers) insert(member, units, { count: change.added, fill: 'zero' });
  }
  return axes;
}

/** Where units lie along a member's axis. */
const placesOf = ({ spans }: Member, units: readonly number[]): number[] =>
  spans.flatMap(({ offset, block }) =>
    units.flatMap((unit) => Array.from({ length: block }, (_, i) => offset + unit * block + i)),
  );

/** For every place of the new axis, the old one that it takes its elements from; −1 for zeros. */
function sources(
  length: number,
  insertions: readonly Insertion[],
  gone: ReadonlySet<number>,
): number[] {
  const from: number[] = [];
  const at = new Map(insertions.map((insertion) => [insertion.before, insertion]));
  for (let place = 0; place <= length; place++) {
    const { block = 0, count = 0, fill } = at.get(place) ?? {};
    for (let unit = 0; unit < count; unit++)
      for (let i = 0; i < block; i++) from.push(fill === 'zero' ? -1 : place - block + i);
    if (place < length && !gone.has(place)) from.push(place);
  }
  return from;
}

/** A tensor with other places along an axis, computed when the model is written. */
function rearranged(tensor: Tensor, axis: number, from: readonly number[]): Tensor {
  const { name, elementType, dims } = tensor;
  return {
    name,
    elementType,
    dims: dims.with(axis, from.length),
    data: {
      kind: 'computed',
      compute() {
        const bytes = tensorBytes(tensor);
        const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
        const run = (inner * elementBits(elementType)) / 8;
        const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
        const out = new Uint8Array(outer * from.length * run);
        for (let o = 0; o < outer; o++)
          from.forEach((place, i) => {
            if (place < 0) return;
            const start = (o * dims[axis]! + place) * run;
            out.set(bytes.subarray(start, start + run), (o * from.length + i) * run);
          });
        return out;
      },
    },
  };
}

// ---- sizes

type NewSize = Pick<SizeChange, 'node' | 'at'> & { readonly sizes: number[] };

/** Several groups may have a part in one size. */
function newSizes(changes: readonly GroupChange[]): Map<string, NewSize> {
  const all = new Map<string, NewSize>();
  for (const change of changes) {
    const units = 'removed' in change ? -change.removed.length : change.added;
    for (const { node, at, elements, changes: parts } of change.group.sizes) {
      const key = JSON.stringify([node, at]);
      let size = all.get(key);
      if (!size) all.set(key, (size = { node, at, sizes: [...elements] }));
      for (const { element, by } of parts) size.sizes[element]! += by * units;
    }
  }
  return all;
}

/** Attributes that are one number; other sizes are lists. */
const SINGLE = new Set(['group', 'num_groups']);

function resize(graph: Graph, { node: id, at, sizes }: NewSize): void {
  const node = graph.node(id)!;
  if ('attribute' in at) {
    const [first = 0] = sizes;
    const value = SINGLE.has(at.attribute)
      ? ({ kind: 'int', value: first } as const)
      : ({ kind: 'ints', value: sizes } as const);
    graph.setAttribute(id, at.attribute, value);
    return;
  }
  const name = graph.freshValue(`${id}/sizes`);
  const data = { kind: 'memory', bytes: packInt64(sizes) } as const;
  graph.setInitializer({ name, elementType: 'int64', dims: [sizes.length], data });
  const inputs = [...node.inputs];
  while (inputs.length <= at.input) inputs.push('');
  inputs[at.input] = name;
  const attributes = new Map(node.attributes);
  attributes.delete('num_outputs');
  graph.replace(id, { inputs, attributes });
}
