/** What passes may know of a target: which operators it runs itself, and the sizes that it works in. */
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { Situation, TargetTraits } from '../passes/pass';
import { estimate } from '../cost/estimate';
import { operatorKind } from '../cost/operators/table';
import type { TargetProfile } from '../cost/profile';

export function traitsOf(profile: TargetProfile, graph: Graph, facts: Facts): TargetTraits {
  let reasons: Map<string, string> | undefined;
  return {
    id: profile.id,
    granularity: granularityOf(profile),
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
  };
}

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
      return profile.overlay.operators.includes(op) || profile.overlay.free.includes(op);
    case 'asic':
    case 'reram':
      return true;
  }
}

/** Vectors of eight are what kernels of phones and boards work in. */
const VECTOR = 8;

function granularityOf(profile: TargetProfile): TargetTraits['granularity'] {
  switch (profile.kind) {
    case 'mobile':
    case 'host':
      return { inputs: VECTOR, outputs: VECTOR };
    case 'fpga':
      return { inputs: profile.overlay.inputChannels, outputs: profile.overlay.outputChannels };
    case 'asic':
      return { inputs: profile.array.rows, outputs: profile.array.columns };
    case 'reram':
      return { inputs: profile.crossbar.rows, outputs: profile.crossbar.columns };
  }
}
