import { describe, expect, it } from 'vitest';
import type { Graph } from '../../../../language/graph/graph';
import type { Evidence } from '../../../../language/passes/pass';
import { tensorByteLength } from '../../../../language/onnx/tensor';
import { runSteps } from '../../../../language/recipe/run';
import { stepsOf } from '../../recipe/subject';
import { sample } from '../../runtime/host';
import { costs, EVIDENCE, open, preview, reopened } from '../subject';
import { testFolder } from '../../data/arrays';

const folder = testFolder();
const base = open(sample('shapes-resnet.onnx'), { batch: 1 });

/** Layers in 4 bits cost sixteen times what they cost in 8, and early ones more than late ones. */
const deviations: Evidence['deviations'] = (candidates) =>
  Promise.resolve(candidates.map((graph, i) => (usesInt4(graph) ? 16 : 1) / (1 + i)));
const usesInt4 = (graph: Graph) =>
  [...graph.initializers.values()].some(({ elementType }) => elementType === 'int4');

const bytesOf = (graph: Graph) =>
  [...graph.initializers.values()].reduce((sum, tensor) => sum + tensorByteLength(tensor), 0);

interface Decisions {
  layers: Record<string, { bits: number; options: { bits: number; cost: number; loss: number }[] }>;
}

async function mixed(parameters: object) {
  const evidence = { ...EVIDENCE, deviations };
  const steps = stepsOf({ pass: 'quantize.mixed', ...parameters });
  const { outcomes, decisions } = await runSteps(
    base,
    steps,
    ({ step, request }) => step.pass.plan(request, evidence),
    EVIDENCE.signal,
  );
  const { layers } = decisions[0] as Decisions;
  return { steps, decisions, layers, situation: outcomes[0]!.situation };
}

describe('quantize.mixed', () => {
  it('keeps to a size, with the most sensitive layers widest', async () => {
    const { layers, situation, steps, decisions } = await mixed({ share: 0.25 });
    const most = 0.25 * bytesOf(base.graph);
    expect(bytesOf(situation.graph)).toBeLessThanOrEqual(most);
    expect(bytesOf(situation.graph)).toBeGreaterThan(0.98 * most);
    const widths = new Set(Object.values(layers).map(({ bits }) => bits));
    expect([...widths].sort()).toEqual([32, 4, 8]);
    const total = Object.values(layers).map(
      ({ bits, options }) => options.find((option) => option.bits === bits)!.loss,
    );
    const uniform = Object.values(layers).map(({ options }) => options.at(-1)!.loss);
    const sum = (losses: number[]) => losses.reduce((a, b) => a + b, 0);
    expect(sum(total)).toBeLessThan(sum(uniform));
    const previewed = costs(preview(base, steps, decisions).situation);
    const written = costs(reopened(base, situation, folder.path));
    expect(previewed.targets).toEqual(written.targets);
    expect(situation.graph.opset).toBe(21);
  });

  it('keeps to a latency by the cost model of a target', async () => {
    const [whole] = costs(base).targets;
    const latencyMs = 0.7 * whole!.total.latencyMs;
    const { situation } = await mixed({ latencyMs, target: 'mobile.pixel3-cpu', widths: [32, 8] });
    const [after] = costs(situation).targets;
    expect(after!.total.latencyMs).toBeLessThanOrEqual(latencyMs);
    expect(situation.graph.opset).toBe(17);
  });

  it.each([
    [{ share: 0.01 }, /no choice of bits keeps to \d+ bytes of weights: the least is \d+ bytes/],
    [{ latencyMs: 1e-6, target: 'mobile.pixel3-cpu' }, /the least is .* ms on mobile\.pixel3-cpu/],
    [{}, /needs one budget/],
    [{ share: 0.5, bytes: 1000 }, /needs one budget/],
    [{ latencyMs: 5 }, /needs a target/],
  ])('refuses %j', async (parameters, reason) => {
    await expect(mixed(parameters)).rejects.toThrow(reason);
  });
});
