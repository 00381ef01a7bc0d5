/** Makes a group of channels larger without changing what comes out. */
import type { Graph } from '../graph/graph';
import type { ChannelGroup, Member, SizeChange } from '../graph/match/channels';
import type { Tensor } from '../onnx/model';
import { packInt64, tensorBytes } from '../onnx/tensor';
import { elementBits } from '../onnx/schema';

/** A group, and how many units it gets at its end. */
export interface Growth {
  readonly group: ChannelGroup;
  readonly count: number;
}

/**
 * Adds units to the ends of groups, of all of them at once: several may lie along one axis. What makes new units and what
 * goes along repeats the last one, so that they hold what that one holds, whatever lies between; what reads them
 * multiplies them by zero.
 */
export function padChannels(graph: Graph, growths: readonly Growth[]): void {
  for (const { value, axis, insertions } of longerAxes(growths).values())
    graph.setConstant(value, grown(graph.constant(value)!, axis, insertions));
  for (const size of largerSizes(growths).values()) resize(graph, size);
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

interface LongerAxis {
  readonly value: string;
  readonly axis: number;
  readonly insertions: Insertion[];
}

/** A constant that several nodes read, or that comes up for several groups, grows once along each axis. */
function longerAxes(growths: readonly Growth[]): Map<string, LongerAxis> {
  const axes = new Map<string, LongerAxis>();
  const note = (
    { value, axis, spans }: Member,
    units: number,
    rest: Pick<Insertion, 'count' | 'fill'>,
  ) => {
    const key = `${axis} ${value}`;
    let longer = axes.get(key);
    if (!longer) axes.set(key, (longer = { value, axis, insertions: [] }));
    for (const { offset, block } of spans) {
      const before = offset + units * block;
      if (longer.insertions.every((known) => known.before !== before))
        longer.insertions.push({ before, block, ...rest });
    }
  };
  for (const { group, count } of growths) {
    for (const member of group.producers) note(member, group.units, { count, fill: 'repeat' });
    for (const member of group.consumers) note(member, group.units, { count, fill: 'zero' });
  }
  return axes;
}

/** A tensor with more places along an axis, computed when the model is written. */
function grown(tensor: Tensor, axis: number, insertions: readonly Insertion[]): Tensor {
  const { name, elementType, dims } = tensor;
  const from = sources(dims[axis]!, insertions);
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

/** For every place of the longer axis, the place that it takes its elements from; −1 for zeros. */
function sources(length: number, insertions: readonly Insertion[]): number[] {
  const from: number[] = [];
  const at = new Map(insertions.map((insertion) => [insertion.before, insertion]));
  for (let place = 0; place <= length; place++) {
    const { block = 0, count = 0, fill } = at.get(place) ?? {};
    for (let unit = 0; unit < count; unit++)
      for (let i = 0; i < block; i++) from.push(fill === 'zero' ? -1 : place - block + i);
    if (place < length) from.push(place);
  }
  return from;
}

type LargerSize = Pick<SizeChange, 'node' | 'at'> & { readonly sizes: number[] };

function largerSizes(growths: readonly Growth[]): Map<string, LargerSize> {
  const all = new Map<string, LargerSize>();
  for (const { group, count } of growths)
    for (const { node, at, elements, changes } of group.sizes) {
      const key = JSON.stringify([node, at]);
      let larger = all.get(key);
      if (!larger) all.set(key, (larger = { node, at, sizes: [...elements] }));
      for (const { element, by } of changes) larger.sizes[element]! += by * count;
    }
  return all;
}

/** Attributes that are one number; other sizes are lists. */
const SINGLE = new Set(['group', 'num_groups']);

function resize(graph: Graph, { node: id, at, sizes }: LargerSize): void {
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
