import { describe, expect, it } from 'vitest';
import { selectNodes } from '../../../language/recipe/selector';
import { applyDecisions, prepareStep } from '../../../language/recipe/steps';
import { makeGraph, node, value, weight } from '../../models';
import { baseOf, network, stepsOf } from './subject';

const CONVS = ['/stem/conv/Conv', '/body/blocks.0/conv/Conv'];

describe('selectors', () => {
  const model = baseOf(network());
  const { graph } = model;
  const cases: [selector: string, nodes: string[]][] = [
    ['/stem/conv/Conv', ['/stem/conv/Conv']],
    ['/stem', ['/stem/conv/Conv', '/stem/Relu']],
    ['/stem/*', ['/stem/conv/Conv', '/stem/Relu']],
    ['/body/blocks.*', ['/body/blocks.0/conv/Conv', '/body/blocks.0/Relu']],
    ['/body/blocks.*/conv', ['/body/blocks.0/conv/Conv']],
    ['**/Relu', ['/stem/Relu', '/body/blocks.0/Relu']],
    ['/*/Relu', ['/stem/Relu']],
    ['/**/conv/*', CONVS],
    ['op:Conv', CONVS],
    ['op:LSTM', []],
    ['**', graph.order.map((n) => n.id)],
    ['Flatten_5', ['Flatten_5']],
  ];
  it.each(cases)('%s', (selector, nodes) => {
    expect([...selectNodes(model, selector)]).toEqual(nodes);
  });

  const nothing: [selector: string, message: RegExp][] = [
    ['/stemm', /\/stemm matches nothing in the model\. Did you mean \/stem/],
    ['/head/Gem', /Did you mean \/head\/Gemm/],
    ['/nowhere/at/all/**', /Names are those of the original model/],
    ['op:conv', /conv is not an operator\. Did you mean Conv\?/],
    ['stage:3', /unknown selector stage:3/],
    ['/stem/(conv|Relu)', /matches nothing/],
  ];
  it.each(nothing)('%s matches nothing', (selector, message) => {
    expect(() => selectNodes(model, selector)).toThrow(message);
  });

  it('tells duplicate names apart by their number', () => {
    const twice = makeGraph({
      inputs: [value('x', [1, 4])],
      outputs: [value('z', [1, 4])],
      nodes: [node('Relu', ['x'], ['y'], {}, 'act'), node('Relu', ['y'], ['z'], {}, 'act')],
    });
    expect([...selectNodes(baseOf(twice), 'act#2')]).toEqual(['act#2']);
    expect(twice.node('act#2')!.outputs).toEqual(['z']);
  });
});

describe('what a step takes', () => {
  const base = baseOf(network());
  const prepare = (step: object) => prepareStep(base, base, stepsOf(step)[0]!);
  const sites = (step: object) =>
    prepare(step).request.sites.map(({ node: id, entry }) => [id, entry]);

  it('is all that the pass can handle, without at', () => {
    expect(sites({ pass: 'prune.magnitude' })).toEqual([
      [CONVS[0], 0],
      [CONVS[1], 0],
      ['/head/Gemm', 0],
    ]);
  });

  it('is the union of the selectors, each site by the first that names it', () => {
    expect(sites({ pass: 'prune.magnitude', at: ['/body/**', 'op:Conv'] })).toEqual([
      [CONVS[1], 0],
      [CONVS[0], 1],
    ]);
  });

  it('leaves out what except names', () => {
    expect(sites({ pass: 'prune.magnitude', at: '**', except: ['/head/**'] })).toEqual([
      [CONVS[0], 0],
      [CONVS[1], 0],
    ]);
    expect(() => prepare({ pass: 'prune.magnitude', except: '/head' })).toThrow(/except needs at/);
  });

  it('says why it takes nothing', () => {
    expect(() => prepare({ pass: 'prune.magnitude', at: '/stem/Relu' })).toThrow(
      /prune\.magnitude has nothing to work on: \/stem\/Relu: Magnitude does not work on Relu \(step 1\)/,
    );
    expect(() => prepare({ pass: 'tokens.topk' })).toThrow(/the model has no layer of that kind/);
  });

  it('runs on nothing where an operator is simply not there', () => {
    expect(sites({ pass: 'prune.magnitude', at: 'op:LSTM' })).toEqual([]);
  });

  it('skips what it cannot take, or fails when it is strict', () => {
    const at = ['op:Conv', '/stem/Relu'];
    expect(prepare({ pass: 'prune.magnitude', at }).refused).toEqual([
      { node: '/stem/Relu', reason: 'Magnitude does not work on Relu' },
    ]);
    expect(() => prepare({ pass: 'prune.magnitude', at, strict: true })).toThrow(
      /prune\.magnitude cannot take \/stem\/Relu/,
    );
  });

  it('is found by its original name after an earlier step rewrote it', () => {
    const [quantise, assign] = stepsOf(
      { pass: 'quantize.int8', at: '/body/**' },
      { pass: 'target.assign', at: '/body/blocks.0/conv/Conv', target: 'reram.isaac' },
    );
    const prepared = prepareStep(base, base, quantise!);
    const quantised = applyDecisions(
      base,
      prepared,
      quantise!.pass.standIn(prepared.request),
      true,
    );
    const next = prepareStep(base, quantised.situation, assign!);
    expect(next.request.sites.map((site) => site.node)).toContain(CONVS[1]);
    expect(base.graph.size).toBe(7); // the graph before is left as it was
  });

  it('keeps weights that a layer outside reads too', () => {
    const shared = baseOf(
      makeGraph({
        inputs: [value('x', [1, 4])],
        outputs: [value('z', [1, 4])],
        weights: [weight('w', [4, 4])],
        nodes: [
          node('MatMul', ['x', 'w'], ['y'], {}, '/a'),
          node('MatMul', ['y', 'w'], ['z'], {}, '/b'),
        ],
      }),
    );
    const [step] = stepsOf({ pass: 'prune.magnitude', at: '/a' });
    const prepared = prepareStep(shared, shared, step!);
    expect(() =>
      applyDecisions(shared, prepared, step!.pass.standIn(prepared.request), true),
    ).toThrow(/it shares its weight with \/b/);
  });
});
