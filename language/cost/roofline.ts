/** How the layers of a model stand under the roofs of a target, and what each kind of layer takes, in two of its states. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { FamilyCost, RooflinePlace, TargetRoofline } from '../protocol';
import type { TargetEstimate } from './cost';
import type { PlacedKernel } from './estimate';
import { familyTotals, rooflinePoints, type RooflinePoint } from './explain';
import { placedKernels } from './placing';
import type { TargetProfile } from './profile';
import { noRoofline, roofsOf } from './roofs';

/** A state of a model with its cost on the target. */
export interface Costed {
  readonly graph: Graph;
  readonly facts: Facts;
  readonly cost: TargetEstimate;
}

interface Standing extends Costed {
  /** The kernels that run on the target itself. */
  readonly placed: readonly PlacedKernel[];
  readonly points: ReadonlyMap<string, RooflinePoint>;
}

/** @param resolve finds the profile that a layer was assigned to */
export function rooflineBetween(
  first: Costed,
  last: Costed,
  target: TargetProfile,
  resolve: (id: string) => TargetProfile,
): TargetRoofline {
  const after = standing(last, target, resolve);
  const before = first.graph === last.graph ? after : standing(first, target, resolve);
  const none = noRoofline(target) ?? null;
  return {
    target: target.id,
    title: target.title,
    none,
    ...roofsOf(target, productsOf(after)),
    layers: none === null ? layersOf(before, after) : [],
    families: familiesOf(before, after),
    besideMs: { before: besideMs(before.cost), after: besideMs(after.cost) },
  };
}

function standing(
  { graph, facts, cost }: Costed,
  target: TargetProfile,
  resolve: (id: string) => TargetProfile,
): Standing {
  const placed = placedKernels(graph, facts, target, { resolve }).filter(
    ({ profile }) => profile === target,
  );
  return { graph, facts, cost, placed, points: rooflinePoints(placed, cost) };
}

function productsOf({ placed, points, cost }: Standing) {
  const elsewhere = new Set(
    cost.layers.filter(({ unsupported }) => unsupported !== undefined).map(({ node }) => node),
  );
  return placed
    .filter(({ main }) => points.has(main.id))
    .map(({ main, workload }) => ({ workload, elsewhere: elsewhere.has(main.id) }));
}

function layersOf(before: Standing, after: Standing): TargetRoofline['layers'] {
  const costs = new Map(after.cost.layers.map((layer) => [layer.node, layer]));
  return [...after.points]
    .map(([id, point]): TargetRoofline['layers'][number] => {
      const { op, origin } = after.graph.node(id)!;
      const { bound, latencyMs } = costs.get(id)!;
      return {
        node: id,
        op,
        bound,
        latencyMs: latencyMs!,
        share: shareOf(latencyMs!, after.cost),
        at: place(point),
        before: movedFrom(before.points.get(origin), point),
      };
    })
    .sort((a, b) => b.latencyMs - a.latencyMs);
}

const place = ({ macsPerByte, gmacPerS }: RooflinePoint): RooflinePlace => ({
  macsPerByte,
  gmacPerS,
});

const movedFrom = (was: RooflinePoint | undefined, is: RooflinePoint): RooflinePlace | null =>
  was && (was.macsPerByte !== is.macsPerByte || was.gmacPerS !== is.gmacPerS) ? place(was) : null;

/** Kinds of layers of either side, the dearest after the recipe first. */
function familiesOf(before: Standing, after: Standing): FamilyCost[] {
  const totals = ({ graph, facts, cost }: Standing) =>
    new Map(familyTotals(graph, facts, cost).map((total) => [total.family, total]));
  const [was, is] = [totals(before), totals(after)];
  return [...new Set([...is.keys(), ...was.keys()])].map((family) => {
    const [old, fresh] = [was.get(family), is.get(family)];
    const ms = fresh?.latencyMs ?? 0;
    return {
      family,
      layers: fresh?.layers ?? 0,
      latencyMs: { before: old?.latencyMs ?? 0, after: ms },
      macs: { before: old?.macs ?? 0, after: fresh?.macs ?? 0 },
      share: shareOf(ms, after.cost),
    };
  });
}

const besideMs = ({ total, layers }: TargetEstimate): number =>
  layers.reduce((rest, { latencyMs }) => rest - (latencyMs ?? 0), total.latencyMs);

const shareOf = (ms: number, { total }: TargetEstimate): number =>
  total.latencyMs > 0 ? ms / total.latencyMs : 0;
