/** Adds the way over a mesh of tiles to the layers of a network, once it is known where all of them lie. */
import type { LayerCost } from './cost';
import type { PlacedKernel } from './estimate';
import type { Flow, Flows } from './flow';
import { meshPhases, takesTiles } from './reram';
import { isStaged, type StagedProfile } from './staged';
import type { Workload } from './workload';

/**
 * Changes the costs of layers on meshes in place.
 * @param costs by node
 * @param watched the workload whose weights may be asked for without harm where they cannot be read
 */
export function overMesh(
  { flows }: Pick<Flows<PlacedKernel>, 'flows'>,
  costs: LayerCost[],
  watched: (workload: Workload) => Workload,
): void {
  const meshes = new Set<StagedProfile>();
  for (const { kernel } of flows)
    if (kernel.profile.kind === 'reram' && isStaged(kernel.profile)) meshes.add(kernel.profile);
  for (const profile of meshes) {
    const onMesh = flows.filter(
      ({ kernel }) => kernel.profile === profile && takesTiles(watched(kernel.workload), profile),
    );
    const places = placesOf(onMesh, flows).map((next, at) => ({
      workload: watched(onMesh[at]!.kernel.workload),
      next,
    }));
    const phases = meshPhases(places, profile);
    onMesh.forEach(({ kernel }, at) => {
      const main = kernel.places[0]!;
      const before = costs[main]!;
      const terms = phases[at]!.map(({ name, ms }) => ({ name, ms }));
      const added = terms.reduce((sum, { ms }) => sum + ms, 0);
      const longest = Math.max(0, ...before.terms.map(({ ms }) => ms));
      const latencyMs = (before.latencyMs ?? 0) + added;
      costs[main] = {
        ...before,
        latencyMs,
        terms: [...before.terms, ...terms],
        ...(terms.some(({ ms }) => ms > longest) && { bound: 'transfer' as const }),
        utilisation:
          before.utilisation === null || latencyMs === 0
            ? before.utilisation
            : (before.utilisation * (before.latencyMs ?? 0)) / latencyMs,
      };
    });
  }
}

/** For each layer on the mesh, those that read its results, through the layers that have no tiles. */
function placesOf(
  onMesh: readonly Flow<PlacedKernel>[],
  flows: readonly Flow<PlacedKernel>[],
): number[][] {
  const place = new Map(onMesh.map((flow, at) => [flow, at]));
  const readers = new Map<number, Flow<PlacedKernel>[]>();
  for (const flow of flows)
    for (const value of flow.reads) {
      const known = readers.get(value);
      if (known) known.push(flow);
      else readers.set(value, [flow]);
    }
  return onMesh.map((flow) => {
    const next = new Set<number>();
    const seen = new Set<Flow<PlacedKernel>>();
    const waiting = [...flow.writes];
    for (let value = waiting.pop(); value !== undefined; value = waiting.pop())
      for (const reader of readers.get(value) ?? []) {
        if (seen.has(reader)) continue;
        seen.add(reader);
        const at = place.get(reader);
        if (at === undefined) waiting.push(...reader.writes);
        else next.add(at);
      }
    return [...next];
  });
}
