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

describe('selectors of roles', () => {
  const model = baseOf(
    makeGraph({
      inputs: [value('x', [1, 8, 16])],
      outputs: [value('z')],
      weights: [
        weight('w1', [16, 64]),
        weight('w2', [64, 16]),
        weight('scale', [16]),
        weight('wh', [16, 10]),
      ],
      nodes: [
        node('RMSNormalization', ['x', 'scale'], ['n'], { axis: -1 }, 'norm'),
        node('MatMul', ['n', 'w1'], ['u'], {}, 'up'),
        node('Relu', ['u'], ['a'], {}, 'act'),
        node('MatMul', ['a', 'w2'], ['d'], {}, 'down'),
        node('Add', ['x', 'd'], ['y'], {}, 'sum'),
        node('MatMul', ['y', 'wh'], ['z'], {}, 'head'),
      ],
      opset: 23,
    }),
  );

  it.each<[string, string[]]>([
    ['role:mlp.up', ['up']],
    ['role:mlp', ['up', 'act', 'down']],
    ['role:mlp.*', ['up', 'act', 'down']],
    ['role:norm', ['norm']],
    ['role:norm.rms', ['norm']],
    ['role:residual', ['sum']],
    ['role:head', ['head']],
  ])('%s', (selector, nodes) => {
    expect([...selectNodes(model, selector)].toSorted()).toEqual(nodes.toSorted());
  });

  it.each<[string, RegExp]>([
    ['role:mlp.upp', /nothing in the model has the role mlp\.upp\. Did you mean mlp\.up\?/],
    ['role:attention.qkv', /Its roles are .*mlp\.down/],
  ])('%s is refused', (selector, message) => {
    expect(() => selectNodes(model, selector)).toThrow(message);
  });
});

describe('selectors of blocks', () => {
  const nodes = Array.from({ length: 20 }, (_, k) =>
    ['Relu', 'Tanh', 'Sigmoid'].map((op, i) =>
      node(op, [k + i === 0 ? 'x' : `v${3 * k + i - 1}`], [`v${3 * k + i}`]),
    ),
  ).flat();
  const flat = baseOf(makeGraph({ inputs: [value('x', [1, 4])], outputs: [value('v59')], nodes }));
  const named = baseOf(network());

  it('name sections that are inferred, one or a row of them', () => {
    const ids = flat.graph.order.map(({ id }) => id);
    expect([...selectNodes(flat, 'block:/§Relu_0/§Relu_3')]).toEqual(ids.slice(3, 6));
    expect([...selectNodes(flat, 'block:/§Relu_0/§Relu_3…/§Relu_0/§Relu_9')]).toEqual(
      ids.slice(3, 12),
    );
  });

  it('name scopes', () => {
    expect([...selectNodes(named, 'block:/stem')]).toEqual(['/stem/conv/Conv', '/stem/Relu']);
  });

  it.each<[typeof flat, string, RegExp]>([
    [named, 'block:/stemm', /\/stemm is no block of the model\. Did you mean \/stem\?/],
    [flat, 'block:/§Relu_0/§Relu_3…/§Nothing', /no block of the model/],
  ])('refuse what is no block', (model, selector, message) => {
    expect(() => selectNodes(model, selector)).toThrow(message);
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
