import { beforeAll, describe, expect, it } from 'vitest';
import { makeTensor, packFloats } from '../../../language/onnx/tensor';
import { runTask } from '../../../language/runtime/runtime';
import { generatedData, type DataRequest } from '../../../language/runtime/tasks';
import { ints, makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { npy, npz, testFolder } from '../data/arrays';
import { sample, testDataset, testHost } from './host';

const host = testHost();
const folder = testFolder();
const shapes: DataRequest = { dataset: testDataset('shapes-resnet.dataset.yaml'), folder: '.' };

const compare = (reference: string, candidate: string, data: DataRequest) =>
  runTask({ kind: 'compare', reference, candidate, data }, { entry: host.entry });

describe('bundled models', () => {
  it('are equal to themselves: no noise, so no ratio', async () => {
    const model = sample('shapes-resnet.onnx');
    const found = await compare(model, model, { ...shapes, samples: 50 });
    expect(found).toMatchObject({ generated: false, samples: 50 });
    expect(found.outputs).toEqual([
      {
        name: 'logits',
        sqnrDb: null,
        cosine: 1,
        maxAbs: 0,
        agreement: null,
        klNats: 0,
        top1Agreement: 1,
      },
    ]);
    expect(found.metric!.drop).toBe(0);
  });

  it('are judged on the same samples', async () => {
    const found = await compare(sample('shapes-resnet.onnx'), sample('shapes-vit.onnx'), shapes);
    expect(found.metric!.reference.value).toBeCloseTo(0.97857, 5);
    expect(found.metric!.candidate.value).toBeCloseTo(0.92429, 5);
    expect(found.metric!.drop).toBeCloseTo((0.97857 - 0.92429) / 0.97857, 4);
  });
});

describe('differences', () => {
  const data: DataRequest = {
    dataset: { source: { npz: 'x.npz' }, inputs: { x: { array: 'x' } } },
    get folder() {
      return folder.path;
    },
  };
  beforeAll(() => {
    folder.write('x.npz', npz({ x: npy('<f4', [3, 2], [3, 4, 0, 5, -1, 2]) }));
  });
  const floats = (name: string, ...values: number[]) =>
    makeTensor(name, 'float32', [values.length], packFloats(values, 'float32'));
  /** y = x · factor */
  const scaled = (name: string, factor: number, spec: Partial<ModelSpec> = {}) =>
    host.model(
      name,
      makeGraph({
        inputs: [value('x', ['n', 2])],
        outputs: [value('y', ['n', 2])],
        weights: [floats('factor', factor)],
        nodes: [node('Mul', ['x', 'factor'], ['y'])],
        ...spec,
      }),
    );

  it('are summed over all samples', async () => {
    const found = await compare(scaled('a.onnx', 1), scaled('b.onnx', 0.75), data);
    const [y] = found.outputs;
    expect(y!.sqnrDb).toBeCloseTo(10 * Math.log10(16), 9); // noise is a quarter of the signal
    expect(y!.cosine).toBeCloseTo(1, 12);
    expect(y!.maxAbs).toBe(1.25);
    expect(found.metric).toBeUndefined();
  });

  it('are found between element types and between fixed and free batches', async () => {
    const half = {
      inputs: [value('x', [2, 2], 'float16')],
      outputs: [value('y', [2, 2], 'float16')],
      weights: [makeTensor('factor', 'float16', [1], packFloats([0.5], 'float16'))],
    };
    const found = await compare(scaled('a.onnx', 1), scaled('h.onnx', 1, half), data);
    expect(found.samples).toBe(3);
    expect(found.outputs[0]).toMatchObject({ maxAbs: 2.5 });
    expect(found.outputs[0]!.sqnrDb).toBeCloseTo(10 * Math.log10(4), 9); // the last sample counts once
    const back = await compare(scaled('h.onnx', 1, half), scaled('a.onnx', 1), data);
    expect(back.outputs[0]!.sqnrDb).toBeCloseTo(0, 9);
  });

  it('of integers are agreement', async () => {
    const rounded = (name: string, shift: number) =>
      scaled(name, shift, {
        outputs: [value('z', ['n', 2], 'int64')],
        nodes: [node('Max', ['x', 'factor'], ['y']), node('Cast', ['y'], ['z'], { to: 7 })],
      });
    const found = await compare(rounded('i.onnx', -9), rounded('j.onnx', 0), data);
    expect(found.outputs[0]).toEqual({
      name: 'z',
      sqnrDb: null,
      cosine: null,
      maxAbs: 1,
      agreement: 5 / 6,
      klNats: null,
      top1Agreement: null,
    });
  });

  const problems: [string, number, Partial<ModelSpec>, RegExp][] = [
    [
      'other sizes',
      1,
      { outputs: [value('y', ['n', 4])], nodes: [node('Concat', ['x', 'x'], ['y'], { axis: 1 })] },
      /sizes differ: 3 × 2 and 3 × 4/,
    ],
    [
      'other names',
      1,
      { outputs: [value('z', ['n', 2])], nodes: [node('Mul', ['x', 'factor'], ['z'])] },
      /no such output/,
    ],
    [
      'what is not finite',
      0,
      { nodes: [node('Div', ['x', 'factor'], ['y'])] },
      /0 of the reference and 6 of the candidate are not/,
    ],
  ];
  for (const [what, factor, spec, problem] of problems)
    it(`in ${what} are problems, not numbers`, async () => {
      const found = await compare(scaled('a.onnx', 1), scaled('p.onnx', factor, spec), data);
      const [y] = found.outputs;
      expect(y).toMatchObject({ name: 'y', sqnrDb: null, cosine: null, maxAbs: null });
      expect(y!.problem).toMatch(problem);
    });

  it('against nothing at all have no ratio', async () => {
    const found = await compare(scaled('zero.onnx', 0), scaled('a.onnx', 1), data);
    expect(found.outputs[0]).toMatchObject({ sqnrDb: null, cosine: null, maxAbs: 5 });
  });

  it('between models that take different batches are refused', async () => {
    const fixed = (size: number) => ({
      inputs: [value('x', [size, 2])],
      outputs: [value('y', [size, 2])],
    });
    await expect(
      compare(scaled('1.onnx', 1, fixed(1)), scaled('3.onnx', 1, fixed(3)), data),
    ).rejects.toThrow('different numbers of samples at once: 1 and 3');
  });

  it('on made-up inputs say so', async () => {
    const found = await compare(scaled('a.onnx', 1), scaled('b.onnx', 0.5), generatedData(4));
    expect(found).toMatchObject({ generated: true, samples: 4 });
    expect(found.outputs[0]!.sqnrDb).toBeCloseTo(10 * Math.log10(4), 6);
  });
});

describe('how many samples run at once', () => {
  beforeAll(() => {
    const labels = npy('|u1', [3], [1, 0, 0]);
    folder.write('one.npz', npz({ x: npy('<f4', [3, 2], [1, 2, 5, 4, 0, 9]), y: labels }));
  });
  const evaluate = (spec: ModelSpec) =>
    runTask(
      {
        kind: 'evaluate',
        model: host.model('one.onnx', makeGraph(spec)),
        data: {
          dataset: {
            source: { npz: 'one.npz' },
            inputs: { x: { array: 'x' } },
            target: { array: 'y' },
            metric: { id: 'top1' },
          },
          folder: folder.path,
        },
      },
      { entry: host.entry },
    );
  const cases: [string, ModelSpec][] = [
    [
      'a model without an axis for them',
      {
        inputs: [value('x', [2])],
        outputs: [value('y', [2])],
        nodes: [node('Identity', ['x'], ['y'])],
      },
    ],
    [
      'a model that takes two',
      {
        inputs: [value('x', [2, 2])],
        outputs: [value('y', [2, 2])],
        nodes: [node('Identity', ['x'], ['y'])],
      },
    ],
    [
      'a model that says any number and fails on several',
      {
        inputs: [value('x', ['n', 2])],
        outputs: [value('y', [1, 2])],
        weights: [ints('pair', [1, 2])],
        nodes: [node('Reshape', ['x', 'pair'], ['y'])],
      },
    ],
    [
      'a model that says any number and muddles several',
      {
        inputs: [value('x', ['n', 2])],
        outputs: [value('y', ['n', 'm'])],
        weights: [ints('row', [1, -1])],
        nodes: [node('Reshape', ['x', 'row'], ['y'])],
      },
    ],
  ];
  for (const [what, spec] of cases)
    it(`is right for ${what}`, async () => {
      expect((await evaluate(spec)).value).toBeCloseTo(2 / 3);
    });
});

describe('made-up integers', () => {
  it('are the same for both models, and small enough for both', async () => {
    const lookup = (name: string, rows: number) =>
      host.model(
        name,
        makeGraph({
          inputs: [value('ids', ['n', 40], 'int64')],
          outputs: [value('y', ['n', 40, 2])],
          weights: [weight('table', [rows, 2])],
          nodes: [node('Gather', ['table', 'ids'], ['y'])],
        }),
      );
    const found = await compare(lookup('9.onnx', 9), lookup('5.onnx', 5), generatedData(3));
    expect(found.outputs[0]).toMatchObject({ name: 'y', maxAbs: 0 });
  });
});
