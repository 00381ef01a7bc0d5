import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { calibrate, scaled, type Measurement } from '../../../language/cost/calibrate';
import { estimate } from '../../../language/cost/estimate';
import { readMeasurements } from '../../../language/cost/measurements';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, factsOf } from './subject';

const folder = mkdtempSync(path.join(tmpdir(), 'calibrate '));
afterAll(() => rmSync(folder, { recursive: true }));

const prior = bundled('mobile.generic-cpu');

const depthwise: ModelSpec = {
  inputs: [value('x', [1, 64, 56, 56])],
  outputs: [value('y')],
  weights: [weight('w', [64, 1, 3, 3]), weight('p', [64, 64, 1, 1])],
  nodes: [
    node('Conv', ['x', 'w'], ['a'], { group: 64, pads: [1, 1, 1, 1] }),
    node('Conv', ['a', 'p'], ['b']),
    node('Add', ['b', 'x'], ['y']),
  ],
};
const dense: ModelSpec = {
  inputs: [value('x', [1, 256, 28, 28])],
  outputs: [value('y')],
  weights: [weight('w', [256, 256, 3, 3])],
  nodes: [node('Conv', ['x', 'w'], ['y'], { pads: [1, 1, 1, 1] })],
};
const connected: ModelSpec = {
  inputs: [value('x', [1, 4096])],
  outputs: [value('y')],
  weights: [weight('w', [4096, 4096])],
  nodes: [node('MatMul', ['x', 'w'], ['y'])],
};

function measured(name: string, spec: ModelSpec, latencyMs: number, line = 2): Measurement {
  const graph = makeGraph(spec);
  return { name, network: name, where: `m.csv:${line}`, graph, facts: factsOf(graph), latencyMs };
}

const truth = scaled(prior, { compute: 0.4, weights: 3, overhead: 0.5 });
const timeOn = (spec: ModelSpec, profile = truth): number => {
  const graph = makeGraph(spec);
  return estimate(graph, factsOf(graph), profile).total.latencyMs;
};
const exact = () =>
  Object.entries({ depthwise, dense, connected }).map(([name, spec], i) =>
    measured(name, spec, timeOn(spec), i + 2),
  );

describe('calibration', () => {
  it('finds a device from three measurements that tell its constants apart', () => {
    const { scales, profile, heldOut, warnings } = calibrate(prior, exact());
    expect(scales.compute).toBeCloseTo(0.4, 1);
    expect(scales.weights / 3).toBeCloseTo(1, 1);
    expect(timeOn(dense, profile) / timeOn(dense)).toBeCloseTo(1, 1);
    expect(heldOut).toHaveLength(3);
    expect(warnings).toEqual([]);
    expect(profile.basis).toMatchObject({
      status: 'calibrated',
      errors: [{ rows: 3, of: 'one network left out at a time' }],
    });
  });

  it('pulls what cannot be told to the ratios of the profile it started from', () => {
    const alike = [1, 2, 3].map((i) => measured(`dense${i}`, dense, 2 * timeOn(dense, prior), i));
    const { scales } = calibrate(prior, alike);
    expect(scales.weights / scales.compute).toBeCloseTo(1, 2);
    expect(scales.compute).toBeCloseTo(2, 2);
  });

  it('keeps every constant above zero', () => {
    const odd = exact().map((m) => (m.name === 'connected' ? { ...m, latencyMs: 0.2 } : m));
    const { profile } = calibrate(prior, odd);
    for (const rate of Object.values(profile.precisions.fp32)) expect(rate).toBeGreaterThan(0);
  });

  it('refuses two networks, and says what to measure', () => {
    expect(() => calibrate(prior, exact().slice(1))).toThrow(
      /latency_ms: 3 networks must be measured, and there are 2 \(m\.csv:3\)\. Measure networks that differ/,
    );
  });

  it('refuses a network that was measured twice with different results', () => {
    const again = measured('dense', dense, 9 * timeOn(dense), 7);
    expect(() => calibrate(prior, [...exact(), again])).toThrow(
      /dense was measured twice, .* \(m\.csv:3 and m\.csv:7\)/,
    );
  });

  it('names a measurement that the others make doubtful', () => {
    const twice = measured('dense again', dense, 6 * timeOn(dense), 5);
    const { warnings } = calibrate(prior, [...exact(), twice]);
    expect(warnings.join('\n')).toMatch(/contradict each other: .* dense/);
  });

  it('names pairs of which the larger was measured faster', () => {
    const [a, b, c] = exact() as [Measurement, Measurement, Measurement];
    const tiny = measured(
      'tiny',
      { ...dense, inputs: [value('x', [1, 256, 14, 14])] },
      1.4 * b.latencyMs,
      5,
    );
    expect(calibrate(prior, [a, b, c, tiny]).warnings.join('\n')).toMatch(
      /dense does more of everything than tiny .*\(m\.csv:3, m\.csv:5\)/,
    );
  });
});

describe('table of measurements', () => {
  it('takes quoted names, other columns and empty lines', () => {
    const text = 'note,model,latency_ms\r\n"a, b","c, d.onnx",1.5\r\n\r\n,e.onnx,2\r\n';
    expect(readMeasurements('m.csv', text)).toEqual([
      { model: 'c, d.onnx', shape: '', shapes: {}, latencyMs: 1.5, where: 'm.csv:2' },
      { model: 'e.onnx', shape: '', shapes: {}, latencyMs: 2, where: 'm.csv:4' },
    ]);
  });

  it('takes the sizes that a model was measured at', () => {
    const text = 'model,shape,latency_ms\na.onnx,batch=1;sequence=128,3\nb.onnx,x=1x3x8x8,4\n';
    expect(readMeasurements('m.csv', text).map(({ shapes }) => shapes)).toEqual([
      { batch: 1, sequence: 128 },
      { x: [1, 3, 8, 8] },
    ]);
  });

  it.each([
    ['model,latency\na.onnx,1\n', /latency_ms: the column is missing \(m\.csv:1\)/],
    ['model,latency_ms\na.onnx,-1\n', /latency_ms: "-1" is no time in milliseconds \(m\.csv:2\)/],
    ['model,latency_ms\na.onnx,2 s\n', /latency_ms: "2 s" .* without a unit/],
    ['model,latency_ms\na.onnx\n', /latency_ms: "" .*m\.csv:2/],
    ['model,latency_ms\n,3\n', /model: a path is missing \(m\.csv:2\)/],
    ['model,latency_ms,shape\na.onnx,1,batch\n', /shape: "batch" binds no size \(m\.csv:2\)/],
    ['', /model: the column is missing/],
  ])('says what is wrong with %j', (text, message) => {
    expect(() => readMeasurements('m.csv', text)).toThrow(message);
  });
});
