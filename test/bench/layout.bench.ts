/**
 * How long a flat layout takes, on graphs of four families and several sizes. The fastest of some runs counts, since
 * other work on the machine only ever adds time.
 */
import { layered, type Item, type Link } from '../../language/graph/layout/layered';
import type { Row } from './lib/bench';

interface Drawing {
  readonly items: readonly Item[];
  readonly links: readonly Link[];
}

/** The budgets that the layout is held to, in milliseconds, by the number of nodes. */
const BUDGETS_MS = new Map([
  [300, 20],
  [5000, 1000],
]);
const RUNS = 7;

const FAMILIES: Readonly<Record<string, (nodes: number) => Drawing>> = {
  chain: residualChain,
  wide: parallelBranches,
  decoder: decoderExport,
  dense: denseChain,
};

class Builder {
  readonly items: Item[] = [];
  readonly links: Link[] = [];
  add(...sources: readonly number[]): number {
    const item = this.items.push({ width: 220, height: 66 }) - 1;
    for (const from of sources) this.links.push({ from, to: item, fromX: 0, toX: 0, bundle: 0 });
    return item;
  }
  chain(length: number, from: number): number {
    let last = from;
    for (let k = 0; k < length; k++) last = this.add(last);
    return last;
  }
}

/** Residual blocks: six layers and an addition. */
function residualChain(nodes: number): Drawing {
  const graph = new Builder();
  let last = graph.add();
  while (graph.items.length < nodes) last = graph.add(graph.chain(6, last), last);
  return graph;
}

/** Stages of 32 branches that meet again. */
function parallelBranches(nodes: number): Drawing {
  const graph = new Builder();
  let last = graph.add();
  while (graph.items.length < nodes) {
    const from = last;
    last = graph.add(...Array.from({ length: 32 }, (_, k) => graph.chain(1 + (k % 4), from)));
  }
  return graph;
}

/** Attention blocks that all read one mask and two rotary tables. */
function decoderExport(nodes: number): Drawing {
  const graph = new Builder();
  const [mask, cosine, sine] = [graph.chain(4, graph.add()), graph.add(), graph.add()];
  const rotary = (from: number) => {
    const turned = graph.chain(3, from);
    return graph.add(graph.add(from, cosine), graph.add(turned, sine));
  };
  let last = graph.add();
  while (graph.items.length < nodes) {
    const norm = graph.chain(5, last);
    const [query, key, value] = [graph.chain(3, norm), graph.chain(3, norm), graph.chain(3, norm)];
    const scores = graph.add(rotary(query), graph.chain(1, rotary(key)));
    const attention = graph.add(graph.chain(1, graph.add(scores, mask)), value);
    const middle = graph.add(graph.chain(3, attention), last);
    const gated = graph.chain(5, middle);
    const product = graph.add(graph.chain(2, gated), graph.chain(1, gated));
    last = graph.add(graph.chain(1, product), middle);
  }
  return graph;
}

/** Every layer reads all that were before it in its group of 24. */
function denseChain(nodes: number): Drawing {
  const graph = new Builder();
  let last = graph.add();
  while (graph.items.length < nodes) {
    const group = [last];
    while (group.length < 24) group.push(graph.chain(4, graph.add(...group)));
    last = graph.chain(3, graph.add(...group));
  }
  return graph;
}

function fastest({ items, links }: Drawing): number {
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    layered(items, links);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

export default function (): Row[] {
  return Object.entries(FAMILIES).flatMap(([family, make]) =>
    [300, 1000, 5000, 10000].map((nodes): Row => {
      const drawing = make(nodes);
      const bar = BUDGETS_MS.get(nodes);
      return {
        name: `${family}, ${drawing.items.length} nodes, ${drawing.links.length} links`,
        value: fastest(drawing),
        unit: 'ms',
        ...(bar !== undefined && { bar }),
      };
    }),
  );
}
