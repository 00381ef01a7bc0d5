/** Bits of layers, chosen one by one: what the text of the recipe becomes, comments and all. */
import { describe, expect, it } from 'vitest';
import type { RecipeEdit } from '../../../language/protocol';
import { bitsEdits } from '../../../language/recipe/bits';
import { apply, editAll } from '../../../language/recipe/edit';
import { recipeOf } from './subject';

type Bits = Extract<RecipeEdit, { kind: 'bits' }>['bits'];

const FRESH = { model: './net.onnx', targets: [] };
const TEXT = `version: 1
steps:
  # small
  - pass: quantize.weights # rtn
    at: '**' # all of them
    block: channel

  # last
  - pass: prune.magnitude
`;

function choose(text: string, nodes: readonly string[], bits: Bits, step = 0): string {
  const edits = bitsEdits(recipeOf(text).steps, { step, nodes, bits });
  return apply(text, editAll(text, edits, FRESH));
}

const steps = (text: string) =>
  recipeOf(text).steps.map(({ pass, at, except, parameters }) => [
    pass.id,
    (parameters as { bits?: number }).bits ?? null,
    at ?? null,
    except,
  ]);
const PRUNE = ['prune.magnitude', null, null, []];
const rest = (...except: string[]) => ['quantize.weights', 4, ['**'], except];

describe('choosing the bits of layers', () => {
  const raised = choose(TEXT, ['/a'], 8);

  it('parts the step, and takes them back without a trace', () => {
    expect(steps(raised)).toEqual([rest('/a'), ['quantize.weights', 8, ['/a'], []], PRUNE]);
    for (const line of TEXT.split('\n')) expect(raised).toContain(line);
    // The node is now rounded by the second step.
    expect(choose(raised, ['/a'], 4, 1)).toBe(TEXT);
    expect(steps(choose(raised, ['/a'], 2, 1))).toEqual([
      rest('/a'),
      ['quantize.weights', 2, ['/a'], []],
      PRUNE,
    ]);
  });

  it('leaves them out, and takes them in again', () => {
    const without = choose(raised, ['/a'], null, 1);
    expect(steps(without)).toEqual([rest('/a'), PRUNE]);
    expect(choose(without, ['/a'], 4)).toBe(TEXT);
    expect(choose(without, ['/a'], 'own')).toBe(TEXT);
  });

  it('gathers layers of the same bits in one step', () => {
    const two = choose(raised, ['/b'], 8);
    expect(steps(two)[1]).toEqual(['quantize.weights', 8, ['/a', '/b'], []]);
    expect(steps(choose(two, ['/a'], 4, 1))).toEqual([
      rest('/b'),
      ['quantize.weights', 8, ['/b'], []],
      PRUNE,
    ]);
  });

  it('of a block replaces what was chosen within it', () => {
    const inner = choose(choose(TEXT, ['/a/q'], 8), ['/b'], 2);
    expect(steps(choose(inner, ['/a'], null))).toEqual([
      rest('/b', '/a'),
      ['quantize.weights', 2, ['/b'], []],
      PRUNE,
    ]);
  });

  it('of a step of their own changes that step', () => {
    const own = TEXT.replace("at: '**'", 'at: /a');
    expect(steps(choose(own, ['/a'], 8))[0]).toEqual(['quantize.weights', 8, ['/a'], []]);
    expect(steps(choose(own, ['/a'], null))).toEqual([PRUNE]);
    expect(choose(own, ['/a'], 4)).toBe(own);
  });
});
