import { describe, expect, it } from 'vitest';
import { workloads } from '../../../language/cost/workloads';
import { runTask } from '../../../language/runtime/runtime';
import { writeModel } from '../../../language/onnx/write';
import type { Base } from '../../../language/recipe/steps';
import { baseOf, network, stepsOf } from '../recipe/subject';
import { sample, testDataset, testHost } from '../runtime/host';
import { open, preview, run } from './subject';
import path from 'node:path';

const host = testHost();
const VIT = sample('shapes-vit.onnx');
/** Image tokens of shapes-vit. */
const TOKENS = 64;

const step = (parameters: object) => stepsOf({ pass: 'tokens.topk', ...parameters });

/** Multiply-accumulates by node. */
function macsOf({ graph, facts }: Pick<Base, 'graph' | 'facts'>): Map<string, number | null> {
  const work = workloads(graph, facts);
  return new Map(graph.order.map(({ id }) => [id, work.of(id).macs]));
}

async function written(parameters: object): Promise<string> {
  const { outcomes } = await run(open(VIT), step(parameters));
  const { graph } = outcomes.at(-1)!.situation;
  const file = path.join(host.folder, `${JSON.stringify(parameters).replace(/\W+/g, '-')}.onnx`);
  writeModel(graph.model, graph.toRecord(), graph.opsets, file);
  return file;
}

const compare = async (candidate: string) => {
  const data = { dataset: testDataset('shapes-vit.dataset.yaml'), folder: '.', samples: 70 };
  const task = { kind: 'compare', reference: VIT, candidate, data } as const;
  return runTask(task, { entry: host.entry });
};

describe('tokens.topk', { timeout: 120_000 }, () => {
  it.each(['inside', 'before'])(
    'is the identity when all tokens are kept %s',
    async (placement) => {
      const { outputs } = await compare(await written({ keep: [1, 1, 1], placement }));
      expect(outputs[0]!.maxAbs).toBeLessThanOrEqual(1e-5);
    },
  );

  it('keeps the answers where few tokens go', async () => {
    const { metric, outputs } = await compare(await written({ keep: [0.9, 0.8] }));
    expect(outputs[0]!.maxAbs).toBeGreaterThan(0);
    expect(metric!.drop).toBeLessThan(0.05);
  });

  it('cuts the MACs of every layer by the tokens that it still sees', () => {
    const base = open(VIT);
    const keep = [0.7, 0.49, 0.343];
    const [before, after] = [macsOf(base), macsOf(preview(base, step({ keep })).situation)];
    const lengths = [TOKENS, ...keep.map((share) => Math.ceil(share * TOKENS))].map((n) => n + 1);
    // Eight blocks and three stages: within blocks 2, 4 and 6, behind their attention.
    const stageAt = (block: number, inMlp: boolean) =>
      [2, 4, 6].filter((stage) => stage < block || (stage === block && inMlp)).length;
    for (const [id, macs] of before) {
      const [, block, part, layer] = /^\/blocks\.(\d+)\/(attn|mlp)\/(.*)$/.exec(id) ?? [];
      if (!macs || block === undefined) continue;
      const share = lengths[stageAt(Number(block), part === 'mlp')]! / (TOKENS + 1);
      const isProduct = part === 'attn' && !layer!.includes('/');
      expect([id, after.get(id)]).toEqual([id, Math.round(macs * share ** (isProduct ? 2 : 1))]);
    }
    expect(after.get('/head/Gemm')).toBe(before.get('/head/Gemm'));
  });

  it('spreads as many stages as there are values, or puts them where it is told', () => {
    const base = open(VIT);
    const stages = (parameters: object) =>
      preview(base, step(parameters)).sites.map(({ node }) => /blocks\.(\d)/.exec(node)?.[1]);
    expect(stages({ keep: [0.7, 0.49, 0.343] })).toEqual(['2', '4', '6']);
    expect(stages({ keep: 0.5 })).toEqual(['4']);
    expect(stages({ at: ['/blocks.1', '/blocks.5'], keep: [0.7, 0.5] })).toEqual(['1', '5']);
    expect(() => stages({ keep: Array.from({ length: 9 }, () => 0.9) })).toThrow(
      /9 stages asked for and only 8 blocks can take one/,
    );
  });

  const closed: [model: string, base: () => Base, reason: RegExp][] = [
    ['a network without attention', () => baseOf(network()), /the model has no layer of that kind/],
    [
      'a language model',
      () => open(sample('text-llama.onnx'), { sequence: 8 }),
      /tokens\.topk has nothing to work on: .*:/,
    ],
    ['a model of free length', () => open(sample('text-llama.onnx')), /nothing to work on/],
    ['a convolutional network', () => open(sample('shapes-resnet.onnx')), /no layer of that kind/],
  ];
  it.each(closed)('fails closed on %s', (_, base, reason) => {
    expect(() => preview(base(), step({ keep: 0.5 }))).toThrow(reason);
  });

  it('says when tokens to keep are more than are left', () => {
    expect(() =>
      preview(open(VIT), step({ at: ['/blocks.2', '/blocks.4'], keep: [0.5, 0.7], strict: true })),
    ).toThrow(/32 tokens are left here, fewer than the 45 to keep/);
  });
});
