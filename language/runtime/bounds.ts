/** How large the integers of an input may be where they look something up: made-up ones have to stay below. */
import type { Graph, Node } from '../graph/graph';

/** Operators that pass every element on, or some of them, unchanged. */
const CARRIERS = new Set([
  'Cast',
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'Identity',
  'Transpose',
  'Slice',
  'Split',
  'Expand',
  'Tile',
  'Concat',
]);
/** How far a chain of them is followed. */
const MAX_STEPS = 64;

/** The size of the smallest table that the input's elements index; undefined where they index none of known size. */
export function indexBound(graph: Graph, input: string): number | undefined {
  let bound: number | undefined;
  const seen = new Set([input]);
  const queue = [input];
  for (let step = 0; step < queue.length && step < MAX_STEPS; step++) {
    const value = queue[step]!;
    for (const reader of graph.consumers(value)) {
      const size = lookedUp(graph, reader, value);
      if (size !== undefined) bound = Math.min(bound ?? size, size);
      if (!CARRIERS.has(reader.op) || (reader.inputs[0] !== value && reader.op !== 'Concat'))
        continue;
      for (const output of reader.outputs)
        if (!seen.has(output)) {
          seen.add(output);
          queue.push(output);
        }
    }
  }
  return bound;
}

/** Entries of the table that `reader` looks `value` up in. */
function lookedUp(graph: Graph, reader: Node, value: string): number | undefined {
  const [table, indices] = reader.inputs;
  if (table === undefined || indices !== value) return undefined;
  if (!/^(Gather|GatherElements|GatherBlockQuantized)$/.test(reader.op)) return undefined;
  const dims = tableDims(graph, table);
  if (!dims) return undefined;
  const attribute = reader.attributes.get('axis')?.value;
  const axis = attribute?.kind === 'int' ? attribute.value : 0;
  const size = dims.at(axis);
  return typeof size === 'number' && size > 0 ? size : undefined;
}

/** Sizes of a table of weights, also where it is stored quantised or at another precision. */
function tableDims(graph: Graph, table: string): readonly number[] | undefined {
  const constant = graph.constant(table);
  if (constant) return constant.dims;
  const producer = graph.producer(table);
  const sameSizes = producer && ['DequantizeLinear', 'Cast', 'Identity'].includes(producer.op);
  return sameSizes && producer.inputs[0] ? graph.constant(producer.inputs[0])?.dims : undefined;
}
