/**
 * Channel-dependency groups: which channels of which constants can only be removed together. Every axis of every value gets
 * a label (channels/labels.ts), the rule of each operator brings labels together (channels/rules.ts), and what is one label
 * in the end is a group. What is not understood blocks the channels that it touches. Structured pruning of whole channels:
 * Fang et al., DepGraph, CVPR 2023.
 */
import { Untold } from '../../errors';
import type { Facts } from '../facts';
import { captures, type Graph, type Node } from '../graph';
import { resolve, type Atom, type Label } from './channels/labels';
import { Marks, Site, type Place, type Role, type Sizes, type Use } from './channels/marks';
import { ruleFor } from './channels/rules';
import { blockTaint, taintOutputs } from './channels/taints';
import { View } from './view';

/** Where the units of a group lie along an axis: unit `u` is the `block` elements from `offset + u × block`. */
export interface Span {
  readonly offset: number;
  readonly block: number;
}

/** A constant that gets smaller. One that several nodes read is listed for each of them, and cut once. */
export interface Member {
  /** The node that reads the constant, by input. */
  readonly node: string;
  readonly input: number;
  readonly value: string;
  readonly axis: number;
  readonly role: Role;
  /** At least one; several where the same channels are there several times. */
  readonly spans: readonly Span[];
}

/**
 * Sizes that a node is told in an input or an attribute. Before units go, they are to be written there as these numbers, in
 * a constant of the node's own, whatever was there before; a Split that had no sizes gets them in place of its
 * `num_outputs`. Each unit that goes lowers an element by `by`.
 */
export interface SizeChange {
  readonly node: string;
  readonly at: Place;
  readonly elements: readonly number[];
  readonly changes: readonly { readonly element: number; readonly by: number }[];
}

export type ChannelGroup = {
  /** How many units there are: channels, or blocks of them such as heads. */
  readonly units: number;
  /** Weights whose outputs the units are, with biases, norms and other constants along the same channels. */
  readonly producers: readonly Member[];
  /** Weights that read the channels. */
  readonly consumers: readonly Member[];
  readonly sizes: readonly SizeChange[];
} & (
  | { readonly prunable: true }
  /** `node` is where channels are held: a node, or the input of the graph. */
  | { readonly prunable: false; readonly reason: string; readonly node: string }
);

/** The groups of all weights that make channels, in the order of the graph. */
export function channelGroups(graph: Graph, facts: Facts): ChannelGroup[] {
  const marks = new Marks(new View(graph, facts));
  for (const { name } of graph.inputs) marks.block(name, name, 'it is an input of the graph');
  for (const node of graph.order) if (node.op !== 'Constant') mark(marks, node);
  for (const { name } of graph.outputs) {
    const node = graph.producer(name)?.id ?? name;
    marks.block(name, node, 'it makes an output of the graph');
    blockTaint(marks.taints.get(name), node, 'it makes an output of the graph');
  }
  return groupsOf(marks);
}

function mark(marks: Marks, node: Node): void {
  const site = new Site(marks, node);
  const captured = captures(node);
  const isShape = node.op === 'Shape' || node.op === 'Size';
  try {
    const rule = isShape ? undefined : ruleFor(node.domain, node.op);
    if (captured.length > 0 || (!rule && !isShape))
      throw new Untold(`${node.op} is not understood`);
    rule?.(site);
  } catch (error) {
    if (!(error instanceof Untold)) throw error;
    site.giveUp(`how it treats channels is not known: ${error.message}`, captured);
    for (const value of [...node.inputs, ...captured])
      blockTaint(marks.taints.get(value), node.id, 'it computes with the size of channels');
  }
  for (const output of node.outputs)
    if (output && !marks.axes.has(output))
      marks.block(output, node.id, 'it makes something other than channels');
  taintOutputs(marks, node);
}

interface Draft {
  readonly members: Member[];
  readonly sizes: SizeChange[];
}

function groupsOf(marks: Marks): ChannelGroup[] {
  const drafts = new Map<Atom, Draft>();
  const draftOf = (atom: Atom): Draft => {
    const known = drafts.get(atom);
    if (known) return known;
    const draft = { members: [], sizes: [] };
    drafts.set(atom, draft);
    return draft;
  };
  for (const use of distinct(marks.uses)) {
    const { label, ...member } = use;
    for (const [atom, spans] of spansOf(label)) draftOf(atom).members.push({ ...member, spans });
  }
  for (const sizes of marks.sizes)
    for (const [atom, changes] of changesOf(sizes)) {
      const { node, at, elements } = sizes;
      drafts.get(atom)?.sizes.push({ node, at, elements, changes });
    }
  return [...drafts].flatMap(([atom, draft]) => {
    const isMade = draft.members.some(({ role }) => role === 'makes');
    return isMade ? [groupOf(atom, draft)] : [];
  });
}

function groupOf(atom: Atom, { members, sizes }: Draft): ChannelGroup {
  const parts = {
    units: atom.length,
    producers: members.filter(({ role }) => role !== 'reads'),
    consumers: members.filter(({ role }) => role === 'reads'),
    sizes,
  };
  const single = { node: members[0]!.node, reason: 'there is one unit, which cannot be divided' };
  const blocked = atom.blocked ?? (atom.length === 1 ? single : undefined);
  return blocked ? { ...parts, prunable: false, ...blocked } : { ...parts, prunable: true };
}

/** One constant may come to a node over the same way for several of its readers. */
function distinct(uses: readonly Use[]): Use[] {
  const seen = new Map<string, Use>();
  for (const use of uses) {
    const key = JSON.stringify([use.node, use.input, use.axis, use.role]);
    if (!seen.has(key)) seen.set(key, use);
  }
  return [...seen.values()];
}

function spansOf(label: Label): Map<Atom, Span[]> {
  const spans = new Map<Atom, Span[]>();
  let offset = 0;
  for (const { atom, inner } of resolve(label)) {
    const own = spans.get(atom) ?? [];
    own.push({ offset, block: inner });
    spans.set(atom, own);
    offset += atom.length * inner;
  }
  return spans;
}

function changesOf(sizes: Sizes): Map<Atom, { element: number; by: number }[]> {
  const changes = new Map<Atom, { element: number; by: number }[]>();
  for (const label of sizes.pinned)
    for (const { atom } of resolve(label)) changes.set(atom, changes.get(atom) ?? []);
  for (const { element, label } of sizes.measured)
    for (const [atom, spans] of spansOf(label)) {
      const by = spans.reduce((sum, { block }) => sum + block, 0);
      changes.set(atom, [...(changes.get(atom) ?? []), { element, by }]);
    }
  return changes;
}
