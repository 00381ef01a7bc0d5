/** What the tests of recipes have in common: a small network, its recipes, and running them without files. */
import { bindShapes } from '../../../language/graph/bindings';
import type { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import { vocabulary } from '../../../language/recipe/bundled';
import { parseRecipe, requireRecipe, type Recipe } from '../../../language/recipe/recipe';
import type { Base } from '../../../language/recipe/steps';
import { makeGraph, node, value, weight } from '../../models';

/** Two convolutions and a classifier, in blocks. */
export const network = (): Graph =>
  makeGraph({
    inputs: [value('image', [1, 3, 8, 8])],
    outputs: [value('logits', [1, 10])],
    weights: [
      weight('stem.weight', [8, 3, 3, 3]),
      weight('body.weight', [8, 8, 3, 3], 2),
      weight('head.weight', [10, 8], 3),
    ],
    nodes: [
      node('Conv', ['image', 'stem.weight'], ['s'], { pads: [1, 1, 1, 1] }, '/stem/conv/Conv'),
      node('Relu', ['s'], ['sr'], {}, '/stem/Relu'),
      node(
        'Conv',
        ['sr', 'body.weight'],
        ['b'],
        { pads: [1, 1, 1, 1] },
        '/body/blocks.0/conv/Conv',
      ),
      node('Relu', ['b'], ['br'], {}, '/body/blocks.0/Relu'),
      node('GlobalAveragePool', ['br'], ['p'], {}, '/pool/GlobalAveragePool'),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'head.weight'], ['logits'], { transB: 1 }, '/head/Gemm'),
    ],
  });

export function baseOf(graph: Graph): Base {
  const { inputs } = bindShapes(graph, {});
  return { graph, facts: inferShapes(graph, { inputs }), inputs };
}

export const parse = (text: string) => parseRecipe(text, vocabulary(import.meta.dirname));
export const recipeOf = (text: string): Recipe => requireRecipe(parse(text), 'test.whittle.yaml');

/** A recipe of the given steps, written as JSON. */
export const stepsOf = (...steps: object[]): Recipe['steps'] =>
  recipeOf(JSON.stringify({ version: 1, steps })).steps;
