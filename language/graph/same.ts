/** Whether two objects of a model say the same. */
import type { Attribute, AttributeValue, Tensor } from '../onnx/model';
import type { Node } from './graph';

export const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((name, i) => name === b[i]));

/** Whether two nodes are the same in all that passes, costs and files know of them. */
export function sameNode(a: Node, b: Node): boolean {
  if (a === b) return true;
  return (
    a.op === b.op &&
    a.name === b.name &&
    a.id === b.id &&
    a.domain === b.domain &&
    a.overload === b.overload &&
    a.origin === b.origin &&
    a.scope === b.scope &&
    a.inserted === b.inserted &&
    a.assigned === b.assigned &&
    a.span === b.span &&
    sameNames(a.inputs, b.inputs) &&
    sameNames(a.outputs, b.outputs) &&
    sameAttributes(a.attributes, b.attributes) &&
    sameEntries(a.metadata, b.metadata) &&
    a.carried.length === b.carried.length &&
    a.carried.every((field, i) => field === b.carried[i])
  );
}

export function sameAttributes(
  a: ReadonlyMap<string, Attribute>,
  b: ReadonlyMap<string, Attribute>,
): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  return [...b].every(([name, now]) => {
    const then = a.get(name);
    return then === now || (then !== undefined && sameValue(then.value, now.value));
  });
}

/** Graphs, and tensors that are not small, are the same only as the same object. */
function sameValue(a: AttributeValue, b: AttributeValue): boolean {
  if (a.kind !== b.kind || !('value' in a) || !('value' in b)) return false;
  if (a.value === b.value) return true;
  if (a.kind === 'tensor' && b.kind === 'tensor') return sameTensor(a.value, b.value);
  if (a.kind !== 'ints' && a.kind !== 'floats' && a.kind !== 'strings') return false;
  return JSON.stringify(a.value) === JSON.stringify(b.value);
}

/** Comparing more bytes than this is not worth what it may save. */
const SMALL = 4096;

/** Whether two tensors are known to be the same: large ones, and those whose bytes are not in memory, only as one object. */
export function sameTensor(a: Tensor, b: Tensor): boolean {
  if (a === b) return true;
  if (a.data.kind !== 'memory' || b.data.kind !== 'memory') return false;
  const [bytes, others] = [a.data.bytes, b.data.bytes];
  return (
    a.name === b.name &&
    a.elementType === b.elementType &&
    a.density === b.density &&
    a.span === b.span &&
    bytes.length <= SMALL &&
    bytes.length === others.length &&
    bytes.every((byte, i) => byte === others[i]) &&
    a.dims.length === b.dims.length &&
    a.dims.every((size, axis) => size === b.dims[axis])
  );
}

function sameEntries(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a === b || (a.size === b.size && [...a].every(([key, value]) => b.get(key) === value));
}
