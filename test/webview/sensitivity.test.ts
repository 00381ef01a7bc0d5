import { describe, expect, it } from 'vitest';
import type {
  EffectsInView,
  PassInfo,
  SensitivityLayer,
  StepSensitivity,
  StepSummary,
} from '../../language/protocol';
import { bitsElsewhere, moreBits } from '../../webview/sensitivity/bits';
import { toFlow } from '../../webview/canvas/flow';
import { amountText, effectText, heatSteps, nodeEffects } from '../../webview/sensitivity/effects';
import { graphView, viewNode } from './viewNodes';

const byError = (node: string, error: number | null): SensitivityLayer => ({
  node,
  op: 'Conv',
  error,
  sqnrDb: error === null || error === 0 ? null : -10 * Math.log10(error),
});

function sensitivity(layers: readonly SensitivityLayer[], byMetric = false): StepSensitivity {
  return {
    pass: 'quantize.int8',
    title: 'INT8',
    step: 0,
    judge: byMetric ? 'top1' : 'output error',
    data: 'x',
    before: null,
    layers,
    skipped: [],
    key: 'k',
    origins: layers.map(({ node }) => node),
    byMetric,
    madeUp: false,
  };
}

const inView = (shown: EffectsInView['shown'], worked: EffectsInView['worked']): EffectsInView => ({
  key: 'k',
  step: 0,
  stale: false,
  shown,
  worked,
  others: 0,
});

describe('the heat of effects', () => {
  it('halves from shade to shade, whatever the size of the errors', () => {
    const errors = [8e-5, 4e-5, 3.9e-5, 1e-6, 1e-9, 0];
    expect(heatSteps(sensitivity(errors.map((e, i) => byError(`${i}`, e))))).toEqual([
      6, 5, 5, 0, 0, 0,
    ]);
  });
  it('is hottest where no number is left, and does not pale the rest', () => {
    const layers = [byError('a', null), byError('b', 1e-3), byError('c', 5e-4)];
    expect(heatSteps(sensitivity(layers))).toEqual([6, 6, 5]);
  });
  it('spreads drops of a metric evenly, gains at the cold end', () => {
    const drops = [0.07, 0.035, 0, -0.1];
    const layers = drops.map((drop, i) => ({ node: `${i}`, op: 'Conv', metric: 0.9, drop }));
    expect(heatSteps(sensitivity(layers, true))).toEqual([6, 3, 0, 0]);
  });
  it('is cold where nothing has an effect', () => {
    expect(heatSteps(sensitivity([byError('a', 0), byError('b', 0)]))).toEqual([0, 0]);
    expect(heatSteps(sensitivity([]))).toEqual([]);
  });
});

describe('an effect in words', () => {
  it.each([
    [byError('a', 1e-4), '40.0\u00a0dB', '1.00e\u22124'],
    [byError('a', 0), 'no change', '0'],
    [byError('a', null), 'no number', '–'],
    [{ node: 'a', op: 'Conv', metric: 0.9712, drop: 0.012 }, '\u22121\u00a0%', '0.971'],
    [{ node: 'a', op: 'Conv', metric: 0.98, drop: 0 }, '±0\u00a0%', '0.980'],
  ])('%j', (layer, effect, amount) => {
    expect(effectText(layer)).toBe(effect);
    expect(amountText(layer)).toBe(amount);
  });
});

describe('what nodes show', () => {
  const found = sensitivity([byError('a', 1e-2), byError('b', 1e-3), byError('c', 1e-4)]);

  it('is the worst of the layers that the step still works on', () => {
    const nodes = nodeEffects(found, inView(['block', 'block', null], [false, true, true]));
    expect([...nodes]).toEqual([
      ['block', { heat: 3, words: '30.0\u00a0dB', layers: 2, stale: false }],
    ]);
  });
  it('says that layers are left out, without colour', () => {
    const { heat, words } = nodeEffects(found, inView(['a', null, null], [false, true, true])).get(
      'a',
    )!;
    expect([heat, words]).toEqual([null, 'left out · 20.0\u00a0dB']);
  });
  it('stays while the step is switched off', () => {
    expect(nodeEffects(found, inView(['a', 'b', 'c'], null)).get('a')!.heat).toBe(6);
  });
  it('takes the place of costs, and leaves unmeasured nodes plain', () => {
    const view = graphView([viewNode('a'), viewNode('relu')], []);
    const effects = nodeEffects(found, inView(['a', null, null], [true, true, true]));
    const flow = toFlow(view, 'latency', [], effects);
    expect(flow.map(({ data }) => [data.heat, data.says])).toEqual([
      [6, effects.get('a')],
      [null, 'nothing'],
    ]);
    expect(toFlow(view, 'latency', flow, effects)).toEqual(flow);
    expect(toFlow(view, 'latency', [])[0]!.data).toMatchObject({ heat: 0, says: 'cost' });
  });
});

describe('more bits for a fragile layer', () => {
  const pass = (choices: readonly (number | string)[]) =>
    ({
      parameters: { type: 'object', properties: { bits: { enum: choices } } },
    }) as unknown as PassInfo;
  const step = (bits: unknown, at?: readonly string[], enabled = true) =>
    ({ pass: 'quantize.weights', at, enabled, parameters: { bits } }) as unknown as StepSummary;

  it.each([
    [[4, 8, 2], 2, 4],
    [[4, 8, 2], 4, 8],
    [[4, 8, 2], 8, null],
    [['low', 'high'], 4, null],
    [[], 4, null],
    [[4, 8], undefined, null],
  ])('of %j, after %s comes %s', (choices, now, next) => {
    expect(moreBits(pass(choices), step(now))).toBe(next);
  });
  it('is none where the pass is not known', () => {
    expect(moreBits(undefined, step(4))).toBeNull();
  });
  it('is found in the step that gives them', () => {
    const steps = [step(4), step(8, ['/a']), step(2, ['/b'], false)];
    expect(bitsElsewhere(steps, 0, '/a')).toBe(8);
    expect(bitsElsewhere(steps, 0, '/b')).toBeNull();
    expect(bitsElsewhere(steps, 1, '/a')).toBeNull();
  });
});
