/**
 * The nodes that drop tokens and bring them back. Counts are computed from the length that comes in, so that one file serves
 * all lengths.
 */
import { captures, type Graph } from '../../../graph/graph';
import type { Facts } from '../../../graph/facts';
import { Builder, int } from '../../builder';
import { shortenConstants } from '../../tokenAxis';
import type { Cut, Stretch } from './stream';

/** Shares are whole parts of this, so that counts are exact in integers. */
export const PARTS = 1e9;
/** More than any mean of probabilities. */
const FIRST_OF_ALL = 2;

/** How many of so many tokens go on: ⌊n·γ⌋ go, but never the first or the last. */
export const keptOf = (tokens: number, parts: number): number =>
  Math.max(tokens - Number((BigInt(tokens) * BigInt(parts)) / BigInt(PARTS)), Math.min(2, tokens));

/** What one stage keeps: how many tokens, and which in ascending order: of those that came to it, and of all. */
interface Selection {
  readonly all: string;
  readonly count: string;
  readonly indices: string;
  readonly positions: string;
}

export function writeStretch(
  graph: Graph,
  facts: Facts,
  stretch: Stretch,
  parts: number,
): readonly Selection[] {
  const { cuts, end, track, depths } = stretch;
  const writer = new Writer(graph, facts, stretch);
  const tokens = facts.value(cuts[0]!.stream).shape![1]!;
  if (typeof tokens === 'number')
    shortenConstants(graph, track.sizes, (node) => keptAt(tokens, parts, depths.get(node)!));
  const readers = cuts.map(({ stream }) => new Set(graph.consumers(stream).map(({ id }) => id)));
  const endReaders = new Set(graph.consumers(end).map(({ id }) => id));
  const streams = cuts.map((cut, stage) => writer.select(cut, parts, stage, readers[stage]!));
  for (const side of track.sides) writer.selectSide(side, depths.get(side.node)!);
  let whole = end;
  for (let stage = cuts.length - 1; stage >= 0; stage--)
    whole = writer.restore(cuts[stage]!, streams[stage]!, whole);
  graph.rewire(end, whole, ({ id }) => endReaders.has(id));
  writer.removeUnread();
  return streams;
}

function keptAt(tokens: number, parts: number, stages: number): number {
  let left = tokens;
  for (let stage = 0; stage < stages; stage++) left = keptOf(left, parts);
  return left;
}

class Writer {
  readonly #selections: Selection[] = [];
  /** By what its readers read now: the stream before each stage. */
  readonly #streams = new Map<string, string>();
  /** By side value and depth. */
  readonly #sides = new Map<string, string>();
  readonly #whole = new Map<string, string>();
  readonly #missing = new Map<number, string>();
  readonly #replaced: string[] = [];

  constructor(
    private readonly graph: Graph,
    private readonly facts: Facts,
    private readonly stretch: Stretch,
  ) {}

  /** Lets the readers of a cut see the tokens whose queries attend to the first token most. */
  select(
    { core, sum, stream }: Cut,
    parts: number,
    stage: number,
    readers: ReadonlySet<string>,
  ): Selection {
    const build = new Builder(this.graph, sum, `${stream}/agile`);
    const probabilities = core.softmax.outputs[0]!;
    const column = build.slice(probabilities, 'to_first', [[3, 0, 1]]);
    const byHead = build.squeeze(column, 'by_head', 0, 3);
    const mean = build.cast(build.reduceMean(byHead, 'mean', [0]), 'score', 'float32');
    const all = build.node('Shape', 'all', [mean]);
    const share = build.constant('share', [parts]);
    const dropped = build.node('Div', 'dropped', [
      build.node('Mul', 'dropped_parts', [all, share]),
      build.constant('parts', [PARTS]),
    ]);
    const ends = build.node('Min', 'ends', [all, build.constant('two', [2])]);
    const count = build.node('Max', 'count', [build.node('Sub', 'rest', [all, dropped]), ends]);
    const ranked = build.node('Where', 'ranked', [
      this.#isEnd(build, all),
      build.number('first_of_all', FIRST_OF_ALL),
      mean,
    ]);
    const best = build.topk(ranked, 'best', count, { largest: true, sorted: false }).indices;
    const indices = build.topk(best, 'kept', count, { largest: false, sorted: true }).values;
    const before = this.#selections[stage - 1];
    const positions = before
      ? build.node('Gather', 'positions', [before.positions, indices], { axis: int(0) })
      : indices;
    const kept = build.node('Gather', 'tokens', [stream, indices], { axis: int(1) });
    this.graph.rewire(stream, kept, ({ id }) => readers.has(id));
    this.#streams.set(kept, stream);
    const selection = { all, count, indices, positions };
    this.#selections.push(selection);
    return selection;
  }

  /** Of each place in a sequence, whether it is the first or the last. */
  #isEnd(build: Builder, all: string): string {
    const zero = build.constant('zero', [0], []);
    const one = build.constant('one', [1], []);
    const places = build.node('Range', 'places', [zero, build.squeeze(all, 'length', 0), one]);
    const last = build.node('Sub', 'last', [all, build.constant('step', [1])]);
    return build.node('Or', 'is_end', [
      build.node('Equal', 'is_first', [places, zero]),
      build.node('Equal', 'is_last', [places, last]),
    ]);
  }

  /** Lets a node see of masks, positions and the like what belongs to the tokens that are left. */
  selectSide(
    { node, input, axes }: { node: string; input: number; axes: readonly number[] },
    depth: number,
  ): void {
    const value = this.graph.node(node)!.inputs[input]!;
    const key = `${depth}/${axes.join()}/${value}`;
    let selected = this.#sides.get(key);
    if (selected === undefined) {
      const build = new Builder(this.graph, this.graph.node(node)!, `${value}/agile`);
      selected = this.#wholeOf(value);
      const { positions } = this.#selections[depth - 1]!;
      for (const axis of axes)
        selected = build.node('Gather', 'left', [selected, positions], { axis: int(axis) });
      this.#sides.set(key, selected);
    }
    this.graph.setInput(node, input, selected);
    this.#replaced.push(value);
  }

  /** A value that is computed from the length of the stream, as it is where no token is missing. */
  #wholeOf(value: string): string {
    const { track } = this.stretch;
    if (!track.adaptive.has(value)) return value;
    const known = this.#whole.get(value);
    if (known !== undefined) return known;
    const node = this.graph.producer(value)!;
    if (node.op === 'Shape') {
      const shape = this.#wholeShape(value);
      this.#whole.set(value, shape);
      return shape;
    }
    const copies = node.outputs.map((output) =>
      output === '' ? '' : this.graph.freshValue(`${output}/agile/whole`),
    );
    this.graph.insert(
      {
        op: node.op,
        domain: node.domain,
        inputs: node.inputs.map((input) => this.#wholeOf(input)),
        outputs: copies,
        attributes: Object.fromEntries(
          [...node.attributes].map(([name, attribute]) => [name, attribute.value]),
        ),
      },
      node,
    );
    node.outputs.forEach((output, i) => this.#whole.set(output, copies[i]!));
    return this.#whole.get(value)!;
  }

  /** The shape of a value, and in it the tokens that are missing. */
  #wholeShape(shape: string): string {
    const node = this.graph.producer(shape)!;
    const { axes } = this.stretch.track;
    const read = node.inputs[0]!;
    const original = this.#streams.get(read) ?? read;
    const rank = this.facts.value(original).shape!.length;
    const tokens = Array.from({ length: rank }, (_, axis) =>
      axes.get(original)!.includes(axis) ? 1 : 0,
    );
    const [start = 0, stop = rank] = ['start', 'end'].map((name) => {
      const at = node.attributes.get(name)?.value;
      return at?.kind === 'int' ? at.value : undefined;
    });
    const build = new Builder(this.graph, node, `${shape}/agile`);
    const depth = this.stretch.depths.get(node.id)!;
    const missing = build.node('Mul', 'missing', [
      this.#missingAt(build, depth),
      build.constant('along', tokens.slice(start, stop)),
    ]);
    return build.node('Add', 'whole', [shape, missing]);
  }

  #missingAt(build: Builder, depth: number): string {
    const known = this.#missing.get(depth);
    if (known !== undefined) return known;
    const { count } = this.#selections[depth - 1]!;
    const missing = build.node('Sub', 'missing_tokens', [this.#selections[0]!.all, count]);
    this.#missing.set(depth, missing);
    return missing;
  }

  /** The tokens of a cut, those that went on as they are behind it. */
  restore({ sum, stream }: Cut, { indices }: Selection, behind: string): string {
    const build = new Builder(this.graph, sum, `${stream}/agile`);
    const rows = build.node('Expand', 'rows', [
      build.unsqueeze(indices, 'column', 0, 2),
      build.node('Shape', 'shape', [behind]),
    ]);
    return build.node('ScatterElements', 'all_tokens', [stream, rows, behind], { axis: int(1) });
  }

  /** Takes away what computed masks and positions of fewer tokens. */
  removeUnread(): void {
    const open = [...this.#replaced];
    for (let value = open.pop(); value !== undefined; value = open.pop()) {
      const node = this.graph.producer(value);
      if (!node) {
        this.graph.removeUnused([value]);
        continue;
      }
      const isRead = node.outputs.some(
        (output) => this.graph.isRead(output) || this.graph.isOutput(output),
      );
      if (isRead || captures(node).length > 0) continue;
      this.graph.remove(node.id);
      open.push(...node.inputs.filter((input) => input !== ''));
    }
  }
}
