import { describe, expect, it } from 'vitest';
import { tensorDensity, tensorNumbers } from '../../../language/onnx/tensor';
import { float32Tensor, makeTensor, packFloats } from '../../../language/onnx/tensor';
import type { Tensor } from '../../../language/onnx/model';
import { makeGraph, node, value } from '../../models';
import { baseOf, stepsOf } from '../recipe/subject';
import { preview, run } from './subject';

/** Products in a row, one weight each. */
const chain = (...weights: Tensor[]) =>
  baseOf(
    makeGraph({
      inputs: [value('x0', [1, weights[0]!.dims[0]!], weights[0]!.elementType)],
      outputs: [value(`x${weights.length}`)],
      weights,
      nodes: weights.map(({ name }, i) =>
        node('MatMul', [`x${i}`, name], [`x${i + 1}`], {}, `/${name}`),
      ),
    }),
  );

const A = float32Tensor('a', [1, -2, 3, -4], [2, 2]);
const B = float32Tensor('b', [0.5, -0.25, 10, 20], [2, 2]);

async function pruned(base: ReturnType<typeof chain>, parameters: object, names = ['a', 'b']) {
  const { outcomes } = await run(base, stepsOf({ pass: 'prune.magnitude', ...parameters }));
  const { graph } = outcomes.at(-1)!.situation;
  return names.map((name) => [...tensorNumbers(graph.constant(name)!)]);
}

describe('prune.magnitude', () => {
  it('ranks within each layer', async () => {
    expect(await pruned(chain(A, B), { ratio: 0.5 })).toEqual([
      [0, 0, 3, -4],
      [0, 0, 10, 20],
    ]);
  });

  it('ranks all layers together', async () => {
    expect(await pruned(chain(A, B), { ratio: 0.5, scope: 'global' })).toEqual([
      [0, 0, 3, -4],
      [0, 0, 10, 20],
    ]);
    expect(await pruned(chain(A, B), { ratio: 0.75, scope: 'global' })).toEqual([
      [0, 0, 0, 0],
      [0, 0, 10, 20],
    ]);
  });

  it('sets as many equal weights to zero as the ratio says, the first ones', async () => {
    const equal = float32Tensor('a', [1, -1, 1, 1, -1, 1], [2, 3]);
    expect(await pruned(chain(equal), { ratio: 0.5 }, ['a'])).toEqual([[0, 0, 0, 1, -1, 1]]);
  });

  it.each([0, 1])('takes ratio %d at its word', async (ratio) => {
    const [a] = await pruned(chain(A), { ratio }, ['a']);
    expect(a).toEqual(ratio === 0 ? [1, -2, 3, -4] : [0, 0, 0, 0]);
  });

  it('never prunes what is no number', async () => {
    const odd = float32Tensor('a', [NaN, 1, Infinity, -2], [2, 2]);
    expect(await pruned(chain(odd), { ratio: 0.5 }, ['a'])).toEqual([[NaN, 0, Infinity, 0]]);
  });

  it.each(['float16', 'bfloat16', 'float64'] as const)(
    'prunes %s without touching the rest',
    async (type) => {
      const tensor = makeTensor('a', type, [2, 2], packFloats([1.5, -0.25, 0.125, -3], type));
      expect(await pruned(chain(tensor), { ratio: 0.5 }, ['a'])).toEqual([[1.5, 0, 0, -3]]);
    },
  );

  it('knows the density before any byte is written', async () => {
    const base = chain(A, B);
    const steps = stepsOf({ pass: 'prune.magnitude', ratio: 0.75, scope: 'global' });
    const standIn = preview(base, steps).situation.graph;
    expect(tensorDensity(standIn.constant('a')!)).toEqual({ nonzeros: 1, estimated: true });
    const { decisions } = await run(base, steps);
    const planned = preview(base, steps, decisions).situation.graph;
    expect(tensorDensity(planned.constant('a')!)).toEqual({ nonzeros: 0, estimated: false });
    expect(tensorDensity(planned.constant('b')!)).toEqual({ nonzeros: 2, estimated: false });
  });
});
