/**
 * Layers of a ReRAM chip, all at work at once: a layer begins with an output position as soon as the layers before it have
 * finished what its window reads, which is the pipeline inside layers of MNSIM 2.0 (Zhu et al., TCAD 2023).
 */
import type { Links } from '../graph/links';
import type { LayerCost, TargetEstimate } from './cost';
import type { PlacedKernel } from './estimate';
import type { Flows } from './flow';
import { gemmOf } from './gemm';
import { madeOnce } from './placing';
import type { ReramProfile } from './profile';
import { paceOn } from './reram';
import {
  busyNs,
  evenPace,
  passedOn,
  rowEndsAgain,
  sequence,
  WHOLE,
  windowPicture,
  type Known,
  type Picture,
} from './rows';
import type { Workload } from './workload';

/** What is known of every stage, by its place, of the last state with these links. */
const latest = new WeakMap<Links, WeakMap<ReramProfile, Known[]>>();

/**
 * One input through the empty chip, and how soon the next may follow: when every layer, and what layers share, has done
 * its part. Undefined where nothing takes time.
 * @param costs by the place of a node in the order
 * @param watched the workload whose weights may be asked for without harm where they cannot be read
 */
export function throughRows(
  { flows, values }: Flows<PlacedKernel>,
  links: Links,
  costs: readonly LayerCost[],
  target: ReramProfile,
  watched: (workload: Workload) => Workload,
): TargetEstimate['pipeline'] {
  const ofLinks = madeOnce(latest, links, () => new WeakMap<ReramProfile, Known[]>());
  const before = ofLinks.get(target) ?? [];
  const stages: Known[] = [];
  const makers = new Int32Array(values).fill(-1);
  let finishNs = 0;
  let slowest = { ns: 0, node: '' };
  const sharedNs = { digital: 0, beside: 0 };
  for (const { kernel, reads, writes } of flows) {
    const { main, places, workload, profile } = kernel;
    const cost = costs[places[0]!]!;
    const sources: Known[] = [];
    for (const value of reads) if (makers[value] !== -1) sources.push(stages[makers[value]!]!);
    const isHere = profile === target;
    const picture = isHere ? pictureOf(workload, sources) : WHOLE;
    const ns = (cost.latencyMs ?? 0) * 1e6;
    const positions = picture.rows * picture.columns;
    const pace = isHere ? paceOn(workload, target, ns, positions, watched) : evenPace(ns);
    const from = sources.map(({ ends }) => ends);
    const stage = rowEndsAgain(before[stages.length], { picture, pace, from });
    for (const value of writes) makers[value] = stages.length;
    stages.push(stage);
    finishNs = Math.max(finishNs, stage.ends.last.at(-1)!);
    const busy = busyNs(picture, pace);
    // Tiles are a layer's own, digital units and other targets are shared.
    if (!isHere) sharedNs.beside += busy;
    else if ((cost.tiles ?? 0) === 0) sharedNs.digital += busy;
    else if (busy > slowest.ns) slowest = { ns: busy, node: main.id };
  }
  ofLinks.set(target, stages);
  const intervalNs = Math.max(slowest.ns, sharedNs.digital, sharedNs.beside);
  if (intervalNs === 0) return undefined;
  return {
    latencyMs: finishNs * 1e-6,
    intervalMs: intervalNs * 1e-6,
    perSecond: 1e9 / intervalNs,
    slowest: slowest.ns === intervalNs ? slowest.node : null,
  };
}

/**
 * Products take a row of positions; what only passes values on keeps the rows that they come in; sums, attention and
 * products of two activations need all of their input.
 */
function pictureOf(workload: Workload, sources: readonly Known[]): Picture {
  const { conv, window, matmul, kind, parts } = workload;
  if (parts || kind === 'reduction' || kind === 'unknown') return WHOLE;
  const loops = conv?.transposed ? undefined : (conv ?? window);
  if (loops) return windowPicture(loops);
  if (matmul)
    return matmul.constant === null ? WHOLE : sequence(Math.max(1, gemmOf(workload)?.m ?? 1));
  let most = WHOLE;
  for (const { picture } of sources)
    if (picture.rows * picture.columns > most.rows * most.columns) most = picture;
  return most === WHOLE ? WHOLE : passedOn(most);
}
