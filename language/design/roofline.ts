/** How the layers of a model stand under the roofs of a target, before and after its recipe. */
import type { TargetEstimate } from '../cost/cost';
import { placedKernels, type PlacedKernel } from '../cost/estimate';
import { familyTotals, rooflinePoints, type RooflinePoint } from '../cost/explain';
import type { TargetProfile } from '../cost/profile';
import { noRoofline, roofsOf } from '../cost/roofs';
import type { Situation } from '../passes/pass';
import type { FamilyCost, Roofline, RooflineLayer, RooflinePlace } from '../protocol';
import { costOn } from './costing';
import { afterOf, viewRequest, type Look, type Subject } from './design';
import { drawnIn } from './view';

/** One side of the recipe on the target. */
interface Standing extends Situation {
  readonly cost: TargetEstimate;
  /** The kernels that run on the target itself. */
  readonly placed: readonly PlacedKernel[];
  readonly points: ReadonlyMap<string, RooflinePoint>;
}

export function rooflineOf(subject: Subject, look: Look): Roofline {
  const { target } = look;
  const after = standing(subject, afterOf(subject), target);
  const before =
    afterOf(subject) === subject.bound ? after : standing(subject, subject.bound, target);
  const none = noRoofline(target) ?? null;
  return {
    target: target.id,
    title: target.title,
    none,
    ...roofsOf(target, productsOf(after)),
    layers: none === null ? layersOf(before, after, drawnIn(viewRequest(subject, look))) : [],
    families: familiesOf(before, after),
    besideMs: { before: besideMs(before.cost), after: besideMs(after.cost) },
  };
}

function standing(
  { resolve }: Subject,
  { graph, facts }: Situation,
  target: TargetProfile,
): Standing {
  const cost = costOn({ graph, facts }, target, resolve);
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

function layersOf(
  before: Standing,
  after: Standing,
  drawn: ReadonlyMap<string, string>,
): RooflineLayer[] {
  const costs = new Map(after.cost.layers.map((layer) => [layer.node, layer]));
  return [...after.points]
    .map(([id, point]): RooflineLayer => {
      const { op, origin } = after.graph.node(id)!;
      const { bound, latencyMs } = costs.get(id)!;
      return {
        node: id,
        op,
        shown: drawn.get(origin) ?? null,
        bound,
        latencyMs: latencyMs!,
        share: latencyMs! / after.cost.total.latencyMs,
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
      share: ms / after.cost.total.latencyMs,
    };
  });
}

const besideMs = ({ total, layers }: TargetEstimate): number =>
  layers.reduce((rest, { latencyMs }) => rest - (latencyMs ?? 0), total.latencyMs);
