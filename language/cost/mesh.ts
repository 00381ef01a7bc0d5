/**
 * Where the tiles of a network lie on a mesh, and how far its values travel: tiles fill growing squares from a corner, as
 * MNSIM 2.0 places them (`Tile_Connection` 2), and every layer gathers its results in the tile that makes the way of the
 * results and on to the next layers shortest.
 */

/** Tiles of one layer; `next` are the places of the layers that read its results. */
export interface MeshLayer {
  readonly tiles: number;
  readonly next: readonly number[];
}

/** Steps from tile to tile. */
export interface Distances {
  /** From the farthest tile of a layer to the one that gathers. */
  readonly inside: number;
  /** From there to the farthest tile of the layers after it. */
  readonly onward: number;
}

interface Position {
  readonly row: number;
  readonly column: number;
}

/** Squares one inside the other: down the right side and back along the bottom, then the other way round. */
export function tilePosition(tile: number): Position {
  const shell = Math.floor(Math.sqrt(tile));
  const along = tile - shell * shell;
  const [near, far] = along <= shell ? [along, shell] : [shell, 2 * shell - along];
  return shell % 2 === 1 ? { row: near, column: far } : { row: far, column: near };
}

export function meshDistances(layers: readonly MeshLayer[]): Distances[] {
  let first = 0;
  const regions = layers.map(({ tiles }) => {
    const region = Array.from({ length: tiles }, (_, i) => tilePosition(first + i));
    first += tiles;
    return region;
  });
  return layers.map(({ next }, at) =>
    gathered(
      regions[at]!,
      next.flatMap((layer) => regions[layer] ?? []),
    ),
  );
}

/** The best place to gather; of equal ones the first, row by row. */
function gathered(own: readonly Position[], after: readonly Position[]): Distances {
  const inside = farthestFrom(own);
  const onward = farthestFrom(after);
  const inOrder = [...own].sort((a, b) => a.row - b.row || a.column - b.column);
  let best: Distances | undefined;
  for (const place of inOrder) {
    const here = { inside: inside(place), onward: onward(place) };
    if (!best || here.inside + here.onward < best.inside + best.onward) best = here;
  }
  return best ?? { inside: 0, onward: 0 };
}

/** Steps along rows and columns to the farthest of some places: decided by the extremes of their two diagonals. */
function farthestFrom(places: readonly Position[]): (from: Position) => number {
  if (places.length === 0) return () => 0;
  const extremes = (of: (position: Position) => number): [number, number] => {
    let low = Infinity;
    let high = -Infinity;
    for (const place of places) {
      low = Math.min(low, of(place));
      high = Math.max(high, of(place));
    }
    return [low, high];
  };
  const sum = ({ row, column }: Position) => row + column;
  const difference = ({ row, column }: Position) => row - column;
  const [lowSum, highSum] = extremes(sum);
  const [lowDifference, highDifference] = extremes(difference);
  return (from) =>
    Math.max(
      sum(from) - lowSum,
      highSum - sum(from),
      difference(from) - lowDifference,
      highDifference - difference(from),
    );
}
