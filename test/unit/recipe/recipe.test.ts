import { describe, expect, it } from 'vitest';
import { parse, recipeOf } from './subject';

/** What each problem says, and the text that it points at. */
const problemsIn = (text: string) =>
  parse(text).problems.map(({ message, start, end }) => [message, text.slice(start, end)] as const);

const step = (lines: string) => `version: 1\nsteps:\n  - ${lines.replaceAll('\n', '\n    ')}\n`;

describe('reading a recipe', () => {
  it('fills in what is left out', () => {
    const recipe = recipeOf(step('pass: prune.magnitude'));
    expect(recipe).toMatchObject({ version: 1, shapes: {}, targets: [] });
    expect(recipe.steps[0]).toMatchObject({
      index: 0,
      at: undefined,
      except: [],
      strict: false,
      enabled: true,
      parameters: { ratio: 0.5, scope: 'layer' },
    });
  });

  it('reads durations and percentages', () => {
    const { budget } = recipeOf(
      'version: 1\nbudget: { latency: { target: reram.isaac, max: 2 s }, drop: 1.5% }\n',
    );
    expect(budget).toEqual({ latency: { target: 'reram.isaac', max: 2000 }, drop: 0.015 });
  });

  it('reads JSON, which is YAML', () => {
    const text = JSON.stringify({
      version: 1,
      model: '/models/a.onnx',
      steps: [{ pass: 'tokens.topk', keep: [0.7, 0.5] }],
    });
    expect(recipeOf(text)).toMatchObject({
      model: '/models/a.onnx',
      steps: [{ parameters: { keep: [0.7, 0.5], placement: 'inside' } }],
    });
  });

  it('takes an empty text for a recipe without steps', () => {
    for (const text of ['', '\n', '# only a comment\n'])
      expect(parse(text)).toMatchObject({ recipe: { steps: [] }, problems: [] });
  });

  const wrong: [name: string, text: string, message: RegExp, at: string][] = [
    [
      'an unknown pass',
      step('pass: prune.magnitud'),
      /Did you mean prune\.magnitude\?/,
      'prune.magnitud',
    ],
    [
      'no pass of that family',
      step('pass: zzz'),
      /there is no pass zzz\. There are .*tokens\.topk/,
      'zzz',
    ],
    [
      'a mistyped parameter',
      step('pass: prune.magnitude\nratoi: 0.5'),
      /unknown key ratoi\. Did you mean ratio\?/,
      'pass: prune.magnitude\n    ratoi: 0.5\n',
    ],
    ['a value out of range', step('pass: prune.magnitude\nratio: 1.5'), /^ratio: /, '1.5'],
    ['a word for a number', step('pass: prune.magnitude\nratio: lots'), /^ratio: /, 'lots'],
    ['a missing parameter', step('pass: target.assign'), /^target: /, 'pass: target.assign\n'],
    [
      'an unknown target of a step',
      step('pass: target.assign\ntarget: fpga.zcu102-dpo'),
      /fpga\.zcu102-dpo.*fpga\.zcu102-dpu/,
      'fpga.zcu102-dpo',
    ],
    [
      'an unknown target',
      'version: 1\ntargets: [mobile.pixel3-cpu, reram.isac]\n',
      /reram\.isac.*reram\.isaac/,
      'reram.isac',
    ],
    [
      'a list of another length',
      step('pass: tokens.topk\nat: [/a, /b, /c]\nkeep: [0.7, 0.5]'),
      /keep has 2 values for 3 entries of at/,
      '[0.7, 0.5]',
    ],
    [
      'a mistyped key',
      'version: 1\ntarget: [a]\n',
      /unknown key target\. Did you mean targets\?/,
      'version: 1\ntarget: [a]\n',
    ],
    ['no version', 'steps: []\n', /^version: /, 'steps: []\n'],
    [
      'a newer version',
      'version: 2\nanything: new\n',
      /recipe version 2 is newer than this Whittle understands/,
      '2',
    ],
    ['an empty selector', step('pass: quantize.int8\nat: ""'), /^at: /, '""'],
    [
      'a duration without a unit',
      'version: 1\nbudget: { latency: { target: a, max: soon } }\n',
      /^max: /,
      'soon',
    ],
    ['a list instead of a map', '- version: 1\n', /expected object/, '- version: 1\n'],
  ];
  it.each(wrong)('points at %s', (_, text, message, at) => {
    const [first] = problemsIn(text);
    expect(first?.[0]).toMatch(message);
    expect(first?.[1]).toBe(at);
  });

  it('points at a syntax error', () => {
    const text = 'version: 1\nsteps: [\n';
    const { recipe, problems } = parse(text);
    expect(recipe).toBeUndefined();
    expect(problems[0]!.start).toBeGreaterThan(text.indexOf('['));
  });

  it('keeps a step with an error, marked, among the others', () => {
    const { recipe, problems } = parse(
      'version: 1\nsteps:\n  - pass: nothing.known\n  - pass: quantize.int8\n',
    );
    expect(recipe?.steps.map((s) => Boolean(s.error))).toEqual([true, false]);
    expect(problems.map((problem) => problem.step)).toEqual([0]);
  });

  it('names file, line and column when a recipe is required', () => {
    expect(() => recipeOf(step('pass: prune.magnitude\nratio: 7'))).toThrow(
      /\(test\.whittle\.yaml:4:12\)/,
    );
  });
});
