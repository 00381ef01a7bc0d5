/**
 * Equal blocks. Two blocks are equal when the same operators with the same attributes, weight shapes and value shapes are
 * wired in the same way, whatever they are called; and, where the state counts, when the recipe did the same to both.
 */
import type { Block, Part, Positions } from '../graph/blocks';
import type { Shape } from '../onnx/model';
import type { Frame } from './frame';
import type { Look } from './looks';
import type { Merged, MergedLayer } from './merge';

/** Equal siblings in a row, drawn as one. */
export interface Stack {
  readonly kind: 'stack';
  readonly members: readonly Block[];
}

export interface Structures {
  /** The same number for equal blocks of the original model. */
  readonly original: (block: Block) => number;
  /** The same number for blocks that are equal and were treated alike. */
  readonly current: (block: Block) => number;
}

interface Wiring {
  /** What a layer is, apart from where it stands. */
  key(layer: MergedLayer): string;
  /** What it reads: the layers (or inputs) and values. */
  reads(layer: MergedLayer): readonly { readonly from: string; readonly value: string }[];
}

/** Numbers that are equal for blocks which are wired alike and whose layers look alike. */
export function treatedAlike(
  { wired, positions: { layers, ranges } }: Pick<Frame, 'wired' | 'positions'>,
  looks: ReadonlyMap<string, Look>,
): (block: Block) => number {
  return numbering((block) => {
    const words = [String(wired(block))];
    const [first, end] = ranges.get(block.path)!;
    for (let i = first; i < end; i++) words.push(stateKey(looks.get(layers[i]!.node.id)!));
    return words;
  });
}

/**
 * Numbers blocks by their structure: the keys of their layers in order with what each reads, as a step back to a layer of
 * the block or as the block's n-th outer value.
 */
export function blockNumbers(
  { layers, index, ranges }: Positions,
  merged: Merged,
  wiring: Wiring,
): (block: Block) => number {
  return numbering((block) => {
    const [first, end] = ranges.get(block.path)!;
    const outer = new Map<string, number>();
    const words = [nesting(block)];
    for (let i = first; i < end; i++) {
      const layer = merged.layers.get(layers[i]!.node.id)!;
      words.push(wiring.key(layer));
      for (const { from, value } of wiring.reads(layer)) {
        const at = index.get(from);
        if (at !== undefined && at >= first && at < end) words.push(String(at - i));
        else {
          if (!outer.has(value)) outer.set(value, outer.size);
          words.push(`outer ${outer.get(value)}`);
        }
      }
    }
    return words;
  });
}

/** The same number for blocks of the same words. */
function numbering(wordsOf: (block: Block) => readonly string[]): (block: Block) => number {
  const numbers = new Map<string, number>();
  const known = new Map<string, number>();
  return (block) => {
    let number = known.get(block.path);
    if (number !== undefined) return number;
    const text = wordsOf(block).join('\n');
    number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    known.set(block.path, number);
    return number;
  };
}

/** How the layers lie in inner blocks. */
const nesting = (block: Block): string =>
  `(${block.children.map((part) => (part.kind === 'layer' ? '.' : nesting(part))).join('')})`;

export const shapeKey = (shape: Shape | undefined): string => (shape ? shape.join('×') : '?');

function stateKey(look: Look): string {
  const { status, family, shape, shapeBefore, precision, density, assigned, unknown } = look;
  return [
    status,
    family,
    shapeKey(shapeBefore),
    shapeKey(shape),
    precision,
    density !== undefined && 'sparse',
    assigned,
    unknown !== undefined && 'unknown',
  ].join(' ');
}

/**
 * The tree without blocks that are nothing but a list of equal blocks (`/blocks` of `/blocks/blocks.0` and so on): their
 * members stand in their place. It goes by the original, so that no step changes it.
 */
export function withoutLists(tree: Block, original: Structures['original']): Block {
  const children = tree.children.flatMap((part): readonly Part[] => {
    if (part.kind === 'layer') return [part];
    const inner = withoutLists(part, original);
    const [first] = inner.children;
    const isList =
      inner.children.length > 1 &&
      first?.kind === 'block' &&
      inner.children.every(
        (child) => child.kind === 'block' && original(child) === original(first),
      );
    return isList ? inner.children : [inner];
  });
  return { ...tree, children };
}

/** Siblings with runs of equal blocks made into stacks. */
export function stacked(
  children: readonly Part[],
  structure: (block: Block) => number,
): (Part | Stack)[] {
  const out: (Part | Stack)[] = [];
  let run: Block[] = [];
  const close = () => {
    if (run.length > 1) out.push({ kind: 'stack', members: run });
    else out.push(...run);
    run = [];
  };
  for (const part of children) {
    const [first] = run;
    if (part.kind === 'layer') {
      close();
      out.push(part);
      continue;
    }
    if (first && structure(first) !== structure(part)) close();
    run.push(part);
  }
  close();
  return out;
}

/** What a stack's members are, from what they are called: `Layer` for `layers.0`, `layers.1`; `Block` where they differ. */
export function nounOf({ members }: Stack): string {
  const stems = new Set(members.map(({ title }) => stemOf(title)));
  const [stem] = stems;
  if (stems.size !== 1 || !stem || stem.length < 2) return 'Block';
  const plural = stem.length > 4 && /[^suia]s$/.test(stem);
  const noun = (plural ? stem.slice(0, -1) : stem).replace(/_/g, ' ');
  return noun.charAt(0).toUpperCase() + noun.slice(1);
}

/** The last name in a title without the numbers after it: `blocks.0` → `blocks`, `layer1.2` → `layer`. */
function stemOf(title: string): string {
  const last = title.slice(title.lastIndexOf('/') + 1);
  return (
    last
      .replace(/([._-]?\d+)+$/, '')
      .split('.')
      .at(-1) ?? ''
  );
}
