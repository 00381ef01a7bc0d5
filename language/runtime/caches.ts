/**
 * The key-value caches of a model that decodes step by step: inputs that hold what was before, and the outputs that hold it
 * with this run added. Found by how values flow, not by names.
 */
import type { Graph, Node } from '../graph/graph';
import type { Shape, ValueInfo } from '../onnx/model';

export interface Cache {
  /** The axis that grows. */
  readonly axis: number;
  readonly output: string;
}

/** Operators that pass a cache on, with what they add. Of attention, the cache is what it reads and writes beside the answer. */
const CARRIERS = new Set([
  'Cast',
  'Concat',
  'Identity',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
  'QuantizeLinear',
  'DequantizeLinear',
  'Attention',
  'GroupQueryAttention',
  'MultiHeadAttention',
]);
/** How far a chain of them is followed. */
const MAX_STEPS = 64;

/** Caches by the names of their inputs. */
export function cachesOf(graph: Graph): ReadonlyMap<string, Cache> {
  const caches = new Map<string, Cache>();
  const taken = new Set<string>();
  for (const input of graph.inputs) {
    const cache = cacheBehind(graph, input, taken);
    if (!cache) continue;
    caches.set(input.name, cache);
    taken.add(cache.output);
  }
  return caches;
}

function cacheBehind(
  graph: Graph,
  input: ValueInfo,
  taken: ReadonlySet<string>,
): Cache | undefined {
  if (!floatShape(input)) return undefined;
  const seen = new Set([input.name]);
  const queue = [input.name];
  for (let step = 0; step < queue.length && step < MAX_STEPS; step++) {
    const value = queue[step]!;
    for (const reader of graph.consumers(value)) {
      if (!CARRIERS.has(reader.op)) continue;
      for (const name of carried(reader)) {
        if (seen.has(name)) continue;
        seen.add(name);
        queue.push(name);
        const output = graph.outputs.find((candidate) => candidate.name === name);
        const axis = output && !taken.has(name) ? grownAxis(input, output) : undefined;
        if (axis !== undefined) return { axis, output: name };
      }
    }
  }
  return undefined;
}

const carried = ({ op, outputs }: Node): readonly string[] =>
  op.endsWith('Attention') ? outputs.slice(1) : outputs;

/** Of two shapes that are alike but for one free axis, which is not that of the samples. */
function grownAxis(input: ValueInfo, output: ValueInfo): number | undefined {
  const [before, after] = [floatShape(input), floatShape(output)];
  if (!before || before.length !== after?.length) return undefined;
  const differing = before.flatMap((dim, axis) =>
    dim === after[axis] && dim !== null ? [] : [axis],
  );
  const [axis] = differing;
  if (axis === undefined || axis === 0 || differing.length > 1) return undefined;
  return typeof before[axis] === 'number' ? undefined : axis;
}

function floatShape({ type }: ValueInfo): Shape | undefined {
  if (type.kind !== 'tensor' || !/^b?float/.test(type.elementType)) return undefined;
  return type.shape && type.shape.length >= 3 ? type.shape : undefined;
}
