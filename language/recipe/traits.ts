/** What passes may know of a target: which operators it runs itself, and the sizes that it works in. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { CrossbarTraits, Situation, TargetTraits } from '../passes/pass';
import { estimate } from '../cost/estimate';
import { operatorKind } from '../cost/operators/table';
import { laidLayers } from '../cost/crossbarLayers';
import type { FpgaProfile, ReramProfile, TargetProfile } from '../cost/profile';

export function traitsOf(profile: TargetProfile, graph: Graph, facts: Facts): TargetTraits {
  let reasons: Map<string, string> | undefined;
  return {
    id: profile.id,
    granularity: granularityOf(profile),
    link: profile.link,
    runs: (op) => operatorKind(op) === 'free' || runs(profile, op),
    unsupported(node) {
      reasons ??= unsupportedLayers(profile, graph, facts);
      return reasons.get(node);
    },
    latencies(situation) {
      const { layers, total } = estimateOn(profile, situation);
      const layersMs = new Map<string, number>();
      for (const { node, latencyMs } of layers)
        if (latencyMs !== null) layersMs.set(node, latencyMs);
      return { totalMs: total.latencyMs, layersMs };
    },
    ...(profile.kind === 'reram' && { crossbars: crossbarTraits(profile, graph, facts) }),
  };
}

const crossbarTraits = (profile: ReramProfile, graph: Graph, facts: Facts): CrossbarTraits => ({
  tiles: profile.tiles,
  perTile: profile.tile.crossbars,
  cellBits: profile.crossbar.cellBits,
  polarity: profile.crossbar.polarity,
  // Stage after stage, tiles take one position of a layer at a time.
  copies: profile.stages === undefined,
  lay: (way) => laidLayers(graph, facts, profile, way),
});

const estimateOn = (profile: TargetProfile, { graph, facts }: Situation) =>
  estimate(graph, facts, profile, { resolve: () => profile });

function unsupportedLayers(
  profile: TargetProfile,
  graph: Graph,
  facts: Facts,
): Map<string, string> {
  const reasons = new Map<string, string>();
  const { layers } = estimateOn(profile, { graph, facts });
  for (const { node, unsupported, unknown } of layers) {
    const reason = unsupported ?? unknown;
    if (reason !== undefined) reasons.set(node, reason);
  }
  return reasons;
}

function runs(profile: TargetProfile, op: string): boolean {
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return !profile.fallback?.operators.includes(op);
    case 'fpga':
      return [...unitsOf(profile).operators, ...unitsOf(profile).free].includes(op);
    case 'asic':
      return profile.design !== 'blocked' || [...profile.operators, ...profile.free].includes(op);
    case 'reram':
      return true;
  }
}

const unitsOf = (profile: FpgaProfile) =>
  profile.design === 'dataflow' ? profile.engines : profile.overlay;

/** Vectors of eight are what kernels of phones and boards work in. */
const VECTOR = 8;

function granularityOf(profile: TargetProfile): TargetTraits['granularity'] {
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return { inputs: VECTOR, outputs: VECTOR };
    case 'fpga':
      // Engines are made for their layers: whatever divides a size will do.
      if (profile.design === 'dataflow') return { inputs: 1, outputs: 1 };
      return { inputs: profile.overlay.inputChannels, outputs: profile.overlay.outputChannels };
    case 'asic':
      if (profile.design === 'blocked')
        return { inputs: profile.unit.inputs, outputs: profile.unit.depth };
      return { inputs: profile.array.rows, outputs: profile.array.columns };
    case 'reram':
      return { inputs: profile.crossbar.rows, outputs: profile.crossbar.columns };
  }
}
