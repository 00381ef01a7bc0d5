/**
 * Follows the sizes of axes through computations of shapes. They may end where a node is told sizes, which can be written
 * down as numbers instead; anything else would compute something new once channels are gone, so its axes have to stay.
 */
import type { Node } from '../../graph';
import { block, isLabel, type Label } from './labels';
import type { Marks, Taint } from './marks';

/** Inputs that tell sizes, by operator. */
const TOLD: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Slice: [1, 2],
  Split: [1],
  Resize: [3],
};
const COMPUTING = new Set(
  `Gather Slice Unsqueeze Squeeze Concat Cast Identity Reshape Add Sub Mul Div Mod Neg Max Min Equal Less Greater Not And
Or Where ReduceProd Floor Ceil`.split(/\s+/),
);

/** Passes on what sizes are in the inputs of a node. */
export function taintOutputs(marks: Marks, node: Node): void {
  const [output = ''] = node.outputs;
  if (node.op === 'Shape' || node.op === 'Size') {
    const taint = node.op === 'Shape' ? taintOfShape(marks, node) : taintOfAll(marks, node);
    if (taint.labels.some((label) => label !== undefined)) marks.taints.set(output, taint);
    return;
  }
  const tainted = node.inputs.flatMap((value, input) => {
    const taint = marks.taints.get(value);
    return taint && !TOLD[node.op]?.includes(input) ? [{ input, taint }] : [];
  });
  if (tainted.length === 0) return;
  if (COMPUTING.has(node.op) && marks.view.isStatic(output) && node.outputs.length === 1) {
    const only = tainted.length === 1 && tainted[0]!.input === 0 ? tainted[0]!.taint : undefined;
    const passed = (only && taintOfSome(marks, node, only)) ?? union(tainted.map((t) => t.taint));
    if (passed.labels.length > 0) marks.taints.set(output, passed);
    return;
  }
  blockTaint(union(tainted.map((t) => t.taint)), node.id, 'it computes with the size of channels');
}

export function blockTaint(taint: Taint | undefined, node: string, reason: string): void {
  for (const label of taint?.labels ?? []) block(label, { node, reason });
}

function taintOfShape(marks: Marks, node: Node): Taint {
  const axes = marks.axesOf(node.inputs[0] ?? '') ?? [];
  const labels = axes.map((axis) => (isLabel(axis) ? axis : undefined));
  const isCut = node.attributes.has('start') || node.attributes.has('end');
  return { each: !isCut, labels };
}
const taintOfAll = (marks: Marks, node: Node): Taint => ({
  each: false,
  labels: (marks.axesOf(node.inputs[0] ?? '') ?? []).filter(isLabel),
});

const union = (taints: readonly Taint[]): Taint => ({
  each: false,
  labels: [...new Set(taints.flatMap(({ labels }) => labels.filter((l) => l !== undefined)))],
});

/** Of the elements that a node takes; undefined where it does something else. */
function taintOfSome(marks: Marks, node: Node, taint: Taint): Taint | undefined {
  if (['Cast', 'Identity', 'Unsqueeze', 'Squeeze'].includes(node.op)) return taint;
  if (!taint.each) return undefined;
  const { view } = marks;
  const at = (index: number): Label | undefined =>
    taint.labels[index < 0 ? index + taint.labels.length : index];
  if (node.op === 'Gather') {
    const taken = view.numbers(node.inputs[1]);
    return taken && { each: true, labels: taken.map(at) };
  }
  if (node.op !== 'Slice' || node.inputs[4]) return undefined;
  const [start, end] = [view.scalar(node.inputs[1]), view.scalar(node.inputs[2])];
  if (start === undefined || end === undefined) return undefined;
  return { each: true, labels: taint.labels.slice(start, end) };
}
