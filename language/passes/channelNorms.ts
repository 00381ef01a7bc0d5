/** How much the channels of a group carry, by their weights. */
import type { Graph } from '../graph/graph';
import type { ChannelGroup, Member } from '../graph/match/channels';
import type { Tensor } from '../onnx/model';
import type { Numbers } from '../onnx/tensor';

/**
 * The L2 norm of each unit over all weights that make it and that read it: the magnitude by which DepGraph (Fang et al., CVPR
 * 2023) ranks what is removed together. Biases and what belongs to normalisations do not count.
 */
export function unitNorms(
  graph: Graph,
  group: ChannelGroup,
  numbers: (tensor: Tensor) => Numbers,
): Float64Array {
  const squares = new Float64Array(group.units);
  const weights = [...group.producers.filter(({ role }) => role === 'makes'), ...group.consumers];
  for (const member of distinct(weights)) {
    const tensor = graph.constant(member.value)!;
    addSquares(squares, member, tensor.dims, numbers(tensor));
  }
  return squares.map(Math.sqrt);
}

/** A weight that several nodes read counts once along each axis. */
const distinct = (members: readonly Member[]): Member[] => [
  ...new Map(members.map((member) => [`${member.axis} ${member.value}`, member])).values(),
];

function addSquares(
  squares: Float64Array,
  { axis, spans }: Member,
  dims: readonly number[],
  values: Numbers,
): void {
  const length = dims[axis]!;
  const unitAt = new Int32Array(length).fill(-1);
  for (const { offset, block } of spans)
    for (let i = 0; i < squares.length * block; i++) unitAt[offset + i] = Math.floor(i / block);
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  for (let i = 0; i < values.length; i++) {
    const unit = unitAt[Math.floor(i / inner) % length]!;
    if (unit >= 0) squares[unit]! += values[i]! ** 2;
  }
}

/** The `count` units of smallest norm, in their order; of equal ones, the last. */
export function weakestUnits(norms: ArrayLike<number>, count: number): number[] {
  return Array.from(norms, (norm, unit) => ({ norm, unit }))
    .sort((a, b) => a.norm - b.norm || b.unit - a.unit)
    .slice(0, count)
    .map(({ unit }) => unit)
    .sort((a, b) => a - b);
}
