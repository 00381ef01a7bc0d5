/** No layer is faster than the roofs of its target allow, and points agree with what the layers take. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { estimate, placedKernels } from '../../../language/cost/estimate';
import { familyTotals, rooflinePoints } from '../../../language/cost/explain';
import { noRoofline, roofsOf } from '../../../language/cost/roofs';
import { loadTargets } from '../../../language/cost/targets';
import { bindModel, openModel } from '../../../language/recipe/opened';
import { BUNDLED } from './subject';

const SAMPLES = ['shapes-resnet', 'shapes-vit', 'text-llama'].map((name) => {
  const model = openModel(
    path.join(import.meta.dirname, '../../../templates/samples', `${name}.onnx`),
  );
  const { free } = bindModel(model, {});
  const sizes = Object.fromEntries(free.map(({ symbol }) => [symbol, 32]));
  return { name, bound: bindModel(model, sizes) };
});
const ROUNDING = 1 + 1e-9;

describe.each(loadTargets(BUNDLED))('$id', (target) => {
  it.each(SAMPLES)('holds the layers of $name under its roofs', ({ bound: { graph, facts } }) => {
    const cost = estimate(graph, facts, target);
    const placed = placedKernels(graph, facts, target);
    const points = rooflinePoints(placed, cost);
    const products = placed
      .filter(({ main }) => points.has(main.id))
      .map(({ main, workload }) => ({
        workload,
        elsewhere: cost.layers.some(({ node, unsupported }) => node === main.id && unsupported),
      }));
    const { compute, memory } = roofsOf(target, products);
    if (noRoofline(target) !== undefined) {
      expect([compute, memory]).toEqual([[], []]);
      return;
    }
    expect(points.size).toBeGreaterThan(0);
    const boundsActivations = memory.some(({ name }) => name !== 'weights');
    for (const { macsPerByte, gmacPerS } of points.values()) {
      expect(gmacPerS).toBeLessThanOrEqual(compute[0]!.gmacPerS * ROUNDING);
      if (boundsActivations)
        expect(gmacPerS).toBeLessThanOrEqual(memory[0]!.gbPerS * macsPerByte * ROUNDING);
    }
    const totals = familyTotals(graph, facts, cost);
    const layersMs = cost.layers.reduce((sum, { latencyMs }) => sum + (latencyMs ?? 0), 0);
    expect(totals.reduce((sum, { latencyMs }) => sum + latencyMs, 0)).toBeCloseTo(layersMs, 9);
  });
});
