/** What layers would take of crossbars, for whoever decides how to lay them out. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { Polarity } from '../graph/placement';
import {
  analogTime,
  compacted,
  inputBitsOf,
  laidOut,
  mapWeights,
  weightBitsOf,
  windowOf,
} from './crossbar';
import { gemmOf } from './gemm';
import { kernels } from './kernels';
import type { ReramProfile } from './profile';
import { workloads } from './workloads';

/** A layer with constant weights, in one copy. */
export interface Laid {
  readonly crossbars: number;
  /** Output positions, one after another, and the time from one to the next. */
  readonly positions: number;
  readonly intervalNs: number;
}

/** By node, the layers whose weights go into crossbars, with weights mapped and sliced like this. */
export function laidLayers(
  graph: Graph,
  facts: Facts,
  profile: ReramProfile,
  { polarity, cellBits }: { readonly polarity: Polarity; readonly cellBits: number },
): ReadonlyMap<string, Laid> {
  const layers = new Map<string, Laid>();
  for (const { main, workload } of kernels(graph, workloads(graph, facts), profile.fusion)) {
    const whole = gemmOf(workload);
    if (!whole || workload.parts || !(workload.conv ?? workload.matmul?.constant)) continue;
    const placed = laidOut({ placement: { polarity, cellBits, copies: 1 } }, profile);
    const gemm = compacted(whole, workload, placed);
    const mapping = mapWeights(gemm, placed, weightBitsOf(workload, placed), windowOf(workload));
    const { intervalNs } = analogTime(mapping, inputBitsOf(workload, placed), placed.analog);
    layers.set(main.id, { crossbars: mapping.crossbars, positions: gemm.m, intervalNs });
  }
  return layers;
}
