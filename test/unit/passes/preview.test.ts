/** The preview is the pass: by the decisions of a plan, it costs what the written file costs, to the digit. */
import { describe, expect, it } from 'vitest';
import { integerBelow, randomStream, type Random } from '../../../language/data/random';
import type { Base } from '../../../language/recipe/steps';
import { testFolder } from '../data/arrays';
import { baseOf, network, stepsOf } from '../recipe/subject';
import { sample } from '../runtime/host';
import { costs, open, preview, reopened, run } from './subject';

const folder = testFolder();

const MODELS: Readonly<Record<string, () => Base>> = {
  'a network made by hand': () => baseOf(network('/flatten')),
  'shapes-resnet': () => open(sample('shapes-resnet.onnx')),
  'shapes-vit': () => open(sample('shapes-vit.onnx'), { batch: 2 }),
  'text-llama': () => open(sample('text-llama.onnx'), { sequence: 7 }),
};

type Draw = (random: Random) => object;
const oneOf = <T>(random: Random, choices: readonly T[]): T =>
  choices[integerBelow(random, choices.length)]!;
const share = (random: Random, least: number): number =>
  Math.round(1000 * (least + (1 - least) * random())) / 1000;

const prune =
  (at: readonly string[]): Draw =>
  (random) => ({
    pass: 'prune.magnitude',
    at: oneOf(random, at),
    ratio: oneOf(random, [0, 1, share(random, 0), share(random, 0)]),
    scope: oneOf(random, ['layer', 'global']),
  });
const quantise =
  (at: readonly string[]): Draw =>
  (random) => ({
    pass: 'quantize.int8',
    at: oneOf(random, at),
  });
const equalise: Draw = () => ({ pass: 'quantize.equalise' });
const round: Draw = (random) => ({
  pass: 'quantize.adaround',
  rounding: 'nearest',
  bits: oneOf(random, [4, 8]),
});
const tokens: Draw = (random) => {
  const keep = Array.from({ length: 1 + integerBelow(random, 4) }, () => share(random, 0.1));
  const placement = oneOf(random, ['inside', 'before']);
  keep.sort((a, b) => b - a);
  return { pass: 'tokens.topk', keep, placement };
};
const dropped: Draw = (random) => ({
  pass: 'tokens.agile',
  remove: oneOf(random, [0, 0.1, 0.5, 0.9]),
  from: 1 + integerBelow(random, 6),
});
const assign =
  (at: readonly string[]): Draw =>
  (random) => ({
    pass: 'target.assign',
    at: oneOf(random, at),
    target: oneOf(random, ['fpga.zcu102-dpu', 'reram.isaac', 'mobile.pixel3-cpu']),
  });

const align: Draw = (random) => ({
  pass: 'target.align',
  target: 'asic.systolic-32x32-ws',
  by: oneOf(random, ['trim', 'nearest']),
  most: 1,
});

const agile: Draw = (random) => ({
  pass: 'quantize.agile',
  activations: oneOf(random, [8, 4, 16]),
  attention: oneOf(random, [8, 16]),
  softmax: oneOf(random, ['float', 'log2']),
  rounding: 'rtn',
  refine: 'off',
});
const shifted: Draw = (random) => ({
  ...agile(random),
  activations: 8,
  attention: 8,
  softmax: 'log2',
});

const ANYWHERE = ['**', 'op:Conv', 'op:Gemm'];
const fewBits: Draw = (random) => ({
  pass: 'quantize.weights',
  bits: random() < 0.5 ? 4 : 8,
  format: random() < 0.5 ? 'nbits' : 'qdq',
  symmetric: random() < 0.5,
  embeddings: 'quantise',
  head: 'quantise',
});

const CASES: [model: string, name: string, rounds: number, ...draws: Draw[]][] = [
  ['a network made by hand', 'prune.magnitude', 5, prune([...ANYWHERE, '/body/**', '/stem'])],
  ['a network made by hand', 'quantize.int8', 3, quantise([...ANYWHERE, '/body/**'])],
  ['a network made by hand', 'quantize.adaround', 2, round],
  ['shapes-resnet', 'quantize.equalise', 1, equalise, quantise(['**'])],
  ['shapes-resnet', 'prune.magnitude', 3, prune(ANYWHERE)],
  ['shapes-resnet', 'target.align', 2, align],
  ['shapes-resnet', 'quantize.int8', 2, quantise(['**', '/layer1/**'])],
  ['shapes-vit', 'prune.magnitude', 2, prune(['**', '/blocks.*/mlp'])],
  ['shapes-vit', 'quantize.int8', 1, quantise(['**', '/blocks.*/mlp'])],
  ['shapes-vit', 'tokens.topk', 3, tokens],
  ['text-llama', 'prune.magnitude', 1, prune(['**', '/layers.*/mlp'])],
  ['text-llama', 'quantize.int8', 1, quantise(['**', '/layers.*/mlp'])],
  ['text-llama', 'quantize.weights', 2, fewBits],
  ['text-llama', 'quantize.agile', 2, agile],
  ['text-llama', 'attention weights that shift', 1, shifted],
  ['text-llama', 'tokens.agile', 2, dropped],
  ['text-llama', 'fewer tokens and fewer bits', 1, dropped, agile],
  ['shapes-vit', 'all that change the file', 1, tokens, prune(['**']), quantise(['**'])],
];

describe('a preview by decisions', () => {
  const rounds = CASES.flatMap(([model, name, count, ...draws]) =>
    Array.from({ length: count }, (_, round) => {
      const random = randomStream(`${model} ${name} ${round}`);
      return [model, draws.map((draw) => draw(random))] as const;
    }),
  );
  it.each(rounds.map(([model, steps]) => [model, JSON.stringify(steps), steps] as const))(
    '%s: %s',
    async (model, _, drawn) => {
      const base = MODELS[model]!();
      const steps = stepsOf(...drawn);
      const { outcomes, decisions } = await run(base, steps);
      const previewed = costs(preview(base, steps, decisions).situation);
      const written = costs(reopened(base, outcomes.at(-1)!.situation, folder.path));
      expect(previewed.counts).toEqual(written.counts);
      expect(previewed.macs).toEqual(written.macs);
      expect(previewed.targets).toEqual(written.targets);
    },
  );

  it('of an assignment changes costs and not the file', async () => {
    const base = MODELS['shapes-resnet']!();
    const before = costs(base);
    for (let round = 0; round < 4; round++) {
      const random = randomStream(`assign ${round}`);
      const steps = stepsOf(assign(ANYWHERE)(random));
      const { outcomes, decisions } = await run(base, steps);
      const { graph, facts } = preview(base, steps, decisions).situation;
      expect(graph.order.some((node) => node.assigned !== undefined)).toBe(true);
      expect(facts.value('logits')).toEqual(base.facts.value('logits'));
      const written = costs(reopened(base, outcomes.at(-1)!.situation, folder.path));
      expect(written).toEqual(before);
    }
  });
});

describe('a preview without a plan', () => {
  const cases: [model: string, step: object, estimated: boolean][] = [
    ['shapes-resnet', { pass: 'prune.magnitude', scope: 'global' }, true],
    ['shapes-resnet', { pass: 'prune.magnitude', ratio: 0.9 }, true],
    ['shapes-resnet', { pass: 'quantize.int8' }, true],
    ['shapes-resnet', { pass: 'target.align', target: 'fpga.zcu102-dpu', by: 'trim' }, true],
    ['shapes-vit', { pass: 'tokens.topk' }, false],
    ['shapes-vit', { pass: 'target.assign', target: 'reram.isaac' }, false],
  ];
  it.each(cases)('%s: %j is marked estimated: %j', (model, step, estimated) => {
    expect(preview(MODELS[model]!(), stepsOf(step)).estimated).toBe(estimated);
  });

  it('marks the numbers of hardware that skips zeros, and of no other', () => {
    const { situation } = preview(MODELS['shapes-resnet']!(), stepsOf({ pass: 'prune.magnitude' }));
    const estimated = costs(situation).targets.filter(({ total }) => total.estimated);
    expect(estimated.map(({ target }) => target)).toEqual(['asic.systolic-32x32-ws']);
  });

  it('is an estimate no more once the plan is there', async () => {
    const base = MODELS['shapes-resnet']!();
    const steps = stepsOf({ pass: 'prune.magnitude', scope: 'global' });
    const { decisions } = await run(base, steps);
    const outcome = preview(base, steps, decisions);
    expect(outcome.estimated).toBe(false);
    expect(costs(outcome.situation).targets.some(({ total }) => total.estimated)).toBe(false);
  });
});
