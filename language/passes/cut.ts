/** The cheapest cut between two ends of a network of capacities: Dinic's algorithm (1970), on real capacities. */

interface Edge {
  readonly to: number;
  capacity: number;
  /** Of the edge the other way, in the list of `to`. */
  readonly back: number;
}

/** Smaller than any difference that is meant. */
const NOTHING = 1e-12;

export class Cut {
  readonly #edges: Edge[][] = [[], []];
  static readonly SOURCE = 0;
  static readonly SINK = 1;

  vertex(): number {
    this.#edges.push([]);
    return this.#edges.length - 1;
  }

  edge(from: number, to: number, capacity: number): void {
    const there = this.#edges[from]!;
    const back = this.#edges[to]!;
    there.push({ to, capacity, back: back.length });
    back.push({ to: from, capacity: 0, back: there.length - 1 });
  }

  /** Vertices on the source's side of the cheapest cut; of several, the cut nearest to the sink. */
  sourceSide(): ReadonlySet<number> {
    for (let levels = this.#levels(); levels[Cut.SINK]! >= 0; levels = this.#levels())
      this.#saturate(levels);
    const reachesSink = new Set([Cut.SINK]);
    const waiting = [Cut.SINK];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop())
      for (const edge of this.#edges[at]!) {
        const forward = this.#edges[edge.to]![edge.back]!;
        if (forward.capacity <= NOTHING || reachesSink.has(edge.to)) continue;
        reachesSink.add(edge.to);
        waiting.push(edge.to);
      }
    return new Set([...this.#edges.keys()].filter((vertex) => !reachesSink.has(vertex)));
  }

  /** Steps from the source over edges that still take something; −1 where none lead. */
  #levels(): Int32Array {
    const levels = new Int32Array(this.#edges.length).fill(-1);
    levels[Cut.SOURCE] = 0;
    const queue = [Cut.SOURCE];
    for (let head = 0; head < queue.length; head++) {
      const at = queue[head]!;
      for (const { to, capacity } of this.#edges[at]!)
        if (capacity > NOTHING && levels[to]! < 0) {
          levels[to] = levels[at]! + 1;
          queue.push(to);
        }
    }
    return levels;
  }

  /** Pushes what the levels let through, path by path; networks are deep, so without recursion. */
  #saturate(levels: Int32Array): void {
    const next = new Int32Array(this.#edges.length);
    const path: Edge[] = [];
    let at: number = Cut.SOURCE;
    for (;;) {
      if (at === Cut.SINK) {
        const least = Math.min(...path.map(({ capacity }) => capacity));
        for (const edge of path) {
          edge.capacity -= least;
          this.#edges[edge.to]![edge.back]!.capacity += least;
        }
        path.length = 0;
        at = Cut.SOURCE;
        continue;
      }
      const edges = this.#edges[at]!;
      const edge = edges[next[at]!];
      if (!edge) {
        const into = path.pop();
        if (!into) return;
        at = this.#edges[into.to]![into.back]!.to;
        next[at]!++;
      } else if (edge.capacity > NOTHING && levels[edge.to] === levels[at]! + 1) {
        path.push(edge);
        at = edge.to;
      } else next[at]!++;
    }
  }
}
