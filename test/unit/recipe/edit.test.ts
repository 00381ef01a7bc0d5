import { describe, expect, it } from 'vitest';
import { apply, editRecipe, type SimpleEdit } from '../../../language/recipe/edit';
import { parse } from 'yaml';
import { recipeOf } from './subject';

const FRESH = { model: './net.onnx', targets: ['reram.isaac'] };
const edited = (text: string, edit: SimpleEdit) => apply(text, editRecipe(text, edit, FRESH));

const RECIPE = `# Weekly build
version: 1   # of the format
model: ./net.onnx

targets: [mobile.pixel3-cpu] # the phone
steps:
  # first the weights
  - pass: prune.magnitude
    at: '**'   # everywhere
    ratio: 0.3 # tried 0.5

  # then the rest
  - pass: quantize.int8
    at:
      - /a
      - /b
# the end
`;

/** The lines that an edit took away and put in. */
function difference(before: string, after: string): { gone: string[]; come: string[] } {
  const [a, b] = [before.split('\n'), after.split('\n')];
  return {
    gone: a.filter((line) => !b.includes(line)),
    come: b.filter((line) => !a.includes(line)),
  };
}

describe('edits of a recipe', () => {
  const cases: [name: string, edit: SimpleEdit, gone: string[], come: string[]][] = [
    [
      'set a parameter',
      { kind: 'set', step: 0, parameter: 'ratio', value: 0.4 },
      ['    ratio: 0.3 # tried 0.5'],
      ['    ratio: 0.4 # tried 0.5'],
    ],
    [
      'set a parameter that was left out',
      { kind: 'set', step: 0, parameter: 'scope', value: 'global' },
      [],
      ['    scope: global'],
    ],
    [
      'retarget a step',
      { kind: 'retarget', step: 0, at: ['/a', 'op:Conv'] },
      ["    at: '**'   # everywhere"],
      ['    at: [/a, op:Conv]   # everywhere'],
    ],
    [
      'retarget a step with its list below',
      { kind: 'retarget', step: 1, at: ['/c'] },
      ['    at:', '      - /a', '      - /b'],
      ['    at: /c'],
    ],
    ['disable a step', { kind: 'enable', step: 0, enabled: false }, [], ['    enabled: false']],
    [
      'add a step',
      { kind: 'add', pass: 'tokens.topk', at: [], parameters: { keep: [0.7, 0.5] } },
      [],
      ['  - pass: tokens.topk', '    keep: [0.7, 0.5]'],
    ],
    [
      'remove a step with its comment',
      { kind: 'remove', step: 0 },
      [
        '  # first the weights',
        '  - pass: prune.magnitude',
        "    at: '**'   # everywhere",
        '    ratio: 0.3 # tried 0.5',
      ],
      [],
    ],
    ['move a step with its comment', { kind: 'move', step: 1, to: 0 }, [], []],
    [
      'choose targets',
      { kind: 'targets', targets: ['reram.isaac'] },
      ['targets: [mobile.pixel3-cpu] # the phone'],
      ['targets: [reram.isaac] # the phone'],
    ],
    [
      'except a layer',
      { kind: 'except', step: 0, node: '/a/fc', excepted: true },
      [],
      ['    except: [/a/fc]'],
    ],
    ['bind a size', { kind: 'bind', symbol: 'batch', size: 1 }, [], ['shapes: {batch: 1}']],
  ];
  it.each(cases)('%s and touch nothing else', (_, edit, gone, come) => {
    const after = edited(RECIPE, edit);
    expect(difference(RECIPE, after)).toEqual({ gone, come });
    expect(recipeOf(after)).toBeDefined();
  });

  it('except layers one after the other, and take them in again', () => {
    const except = (text: string, node: string, excepted = true) =>
      edited(text, { kind: 'except', step: 0, node, excepted });
    const head = 'version: 1\nsteps:\n  - pass: quantize.int8';
    const lists = [
      [`${head}\n# kept\n`, '# kept'],
      [`${head}\n    at: "**"\n    except: /x\n`, 'except: [/x, /a]'],
      [
        `${head}\n    at: "**"\n    except:\n      # why\n      - /x # loud\n  - pass: prune.magnitude\n`,
        '      # why\n      - /x # loud\n      - /a\n',
      ],
      ['{"version":1,"steps":[{"pass":"quantize.int8"}]}', '/a'],
      [head, 'except: [/a]'],
    ] as const;
    for (const [text, says] of lists) {
      const before = recipeOf(text).steps[0]!.except;
      const [one, two] = [except(text, '/a'), except(except(text, '/a'), '/b')];
      expect(one).toContain(says);
      expect(recipeOf(one).steps[0]!.except).toEqual([...before, '/a']);
      expect(recipeOf(one).steps[0]!.at).toEqual(['**']);
      expect(recipeOf(two).steps[0]!.except).toEqual([...before, '/a', '/b']);
      expect(except(one, '/a')).toBe(one);
      expect(recipeOf(except(two, '/a', false)).steps[0]!.except).toEqual([...before, '/b']);
      const all = [...before, '/a', '/b'].reduce((now, node) => except(now, node, false), two);
      expect(recipeOf(all).steps).toHaveLength(recipeOf(text).steps.length);
      expect(all).not.toContain('except');
    }
  });

  it('part a step, so that one layer has another value', () => {
    const part = (text: string, node: string) =>
      edited(text, { kind: 'part', step: 0, node, parameter: 'bits', value: 8 });
    const text =
      'version: 1\nsteps:\n  # small\n  - pass: quantize.weights # rtn\n    block: channel\n\n  # last\n  - pass: prune.magnitude\n';
    const one = part(text, '/a');
    expect(one).toBe(
      'version: 1\nsteps:\n  # small\n  - pass: quantize.weights # rtn\n    block: channel\n    at: "**"\n    except: [/a]\n\n  - pass: quantize.weights\n    at: /a\n    block: channel\n    bits: 8\n  # last\n  - pass: prune.magnitude\n',
    );
    const two = recipeOf(part(one, '/b')).steps;
    expect(two.map(({ pass, at, except }) => [pass.id, at, except])).toEqual([
      ['quantize.weights', ['**'], ['/a', '/b']],
      ['quantize.weights', ['/a', '/b'], []],
      ['prune.magnitude', undefined, []],
    ]);
    expect(two[1]!.parameters).toMatchObject({ bits: 8, block: 'channel' });
    const json = '{"version":1,"steps":[{"pass":"quantize.weights"}]}';
    expect(recipeOf(part(json, '/a')).steps).toHaveLength(2);
    expect(() =>
      edited(text, { kind: 'part', step: 7, node: '/a', parameter: 'bits', value: 8 }),
    ).toThrow(/no step 8/);
  });

  it('keep Windows line ends of the lines that they do not touch', () => {
    const windows = RECIPE.replaceAll('\n', '\r\n');
    const after = edited(windows, { kind: 'set', step: 0, parameter: 'ratio', value: 0.4 });
    expect(after).toBe(windows.replace('ratio: 0.3', 'ratio: 0.4'));
  });

  it('move a step with what belongs to it', () => {
    const after = edited(RECIPE, { kind: 'move', step: 1, to: 0 });
    expect(recipeOf(after).steps.map((step) => step.pass.id)).toEqual([
      'quantize.int8',
      'prune.magnitude',
    ]);
    expect(after.indexOf('# then the rest')).toBeLessThan(after.indexOf('# first the weights'));
  });

  it('begin a recipe where there is none', () => {
    const text = edited('', { kind: 'add', pass: 'quantize.int8', at: ['/a b/c'] });
    expect(text).toBe(
      'version: 1\nmodel: ./net.onnx\ntargets: [reram.isaac]\nsteps:\n  - pass: quantize.int8\n    at: /a b/c\n',
    );
  });

  it('leave an empty list behind the last step, and fill it again', () => {
    const one = 'version: 1\nsteps:\n  - pass: quantize.int8\n# kept\n';
    const none = edited(one, { kind: 'remove', step: 0 });
    expect(none).toBe('version: 1\nsteps: []\n# kept\n');
    expect(
      recipeOf(edited(none, { kind: 'add', pass: 'prune.magnitude', at: [] })).steps,
    ).toHaveLength(1);
  });

  it('undo each other where one is the reverse of the other', () => {
    const off = edited(RECIPE, { kind: 'enable', step: 1, enabled: false });
    expect(edited(off, { kind: 'enable', step: 1, enabled: true })).toBe(RECIPE);
    const moved = edited(RECIPE, { kind: 'move', step: 0, to: 1 });
    expect(recipeOf(edited(moved, { kind: 'move', step: 0, to: 1 })).steps[0]!.pass.id).toBe(
      'prune.magnitude',
    );
  });

  it('write values so that they read back as they were', () => {
    for (const value of ['yes', '0.5', 'a: b', '# no comment', '', 'ünï 日本', true, 0.1, [1, 2]]) {
      const after = edited(RECIPE, { kind: 'set', step: 0, parameter: 'x', value });
      const step = (parse(after) as { steps: Record<string, unknown>[] }).steps[0]!;
      expect(step.x).toEqual(value);
    }
  });

  const FLOW = JSON.stringify({
    version: 1,
    steps: [{ pass: 'prune.magnitude', ratio: 0.3 }, { pass: 'quantize.int8' }],
  });
  const inFlow: [name: string, edit: SimpleEdit, steps: object[]][] = [
    ['set', { kind: 'set', step: 0, parameter: 'ratio', value: 0.4 }, [{ ratio: 0.4 }, {}]],
    ['disable', { kind: 'enable', step: 1, enabled: false }, [{}, { enabled: false }]],
    ['retarget', { kind: 'retarget', step: 1, at: ['/a'] }, [{}, { at: '/a' }]],
    ['remove', { kind: 'remove', step: 0 }, [{ pass: 'quantize.int8' }]],
    ['move', { kind: 'move', step: 0, to: 1 }, [{ pass: 'quantize.int8' }, { ratio: 0.3 }]],
    ['add', { kind: 'add', pass: 'tokens.topk', at: [] }, [{}, {}, { pass: 'tokens.topk' }]],
  ];
  it.each(inFlow)('%s steps of a recipe written as JSON', (_, edit, steps) => {
    expect(parse(edited(FLOW, edit))).toMatchObject({ version: 1, steps });
  });

  it('refuse what is not there', () => {
    for (const edit of [
      { kind: 'set', step: 7, parameter: 'ratio', value: 1 },
      { kind: 'remove', step: 7 },
      { kind: 'move', step: 7, to: 0 },
    ] satisfies SimpleEdit[])
      expect(() => edited(RECIPE, edit)).toThrow(/there is no step 8/);
    expect(() => edited('version: 1\n', { kind: 'remove', step: 0 })).toThrow(/has no steps/);
    expect(() => edited('version: [', { kind: 'remove', step: 0 })).toThrow(/syntax error/);
  });
});
