import { describe, expect, it } from 'vitest';
import { calibrateHost, type ProfiledNetwork } from '../../../language/cost/calibrateHost';
import { estimate } from '../../../language/cost/estimate';
import type { HostProfile, MobileProfile } from '../../../language/cost/profile';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { bundled, factsOf } from './subject';

const prior = bundled('mobile.generic-cpu');
const machine = { id: 'host', threads: 2, conditions: 'a processor, 2 threads' };

const convolutions = (width: number): ModelSpec => ({
  inputs: [value('x', [1, width, 28, 28])],
  outputs: [value('y')],
  weights: [
    weight('w', [width, width, 3, 3]),
    weight('p', [2 * width, width, 1, 1]),
    weight('d', [2 * width, 1, 3, 3]),
  ],
  nodes: [
    node('Conv', ['x', 'w'], ['a'], { pads: [1, 1, 1, 1] }),
    node('Relu', ['a'], ['b']),
    node('Conv', ['b', 'p'], ['c']),
    node('Conv', ['c', 'd'], ['e'], { group: 2 * width, pads: [1, 1, 1, 1] }),
    node('Add', ['e', 'c'], ['f']),
    node('Softmax', ['f'], ['y']),
  ],
});
const products = (width: number, rows: number): ModelSpec => ({
  inputs: [value('x', [rows, width])],
  outputs: [value('y')],
  weights: [weight('w', [width, 4 * width]), weight('v', [4 * width, width])],
  nodes: [
    node('MatMul', ['x', 'w'], ['a']),
    node('Tanh', ['a'], ['b']),
    node('MatMul', ['b', 'v'], ['c']),
    node('Add', ['c', 'x'], ['y']),
  ],
});
const SPECS = {
  'narrow convolutions': convolutions(24),
  'wide convolutions': convolutions(64),
  'few rows': products(256, 1),
  'many rows': products(128, 64),
  'more rows': products(192, 128),
};

/** The machine that measurements are made up of: fitted rates turned to what nobody would guess. */
function truth(): HostProfile {
  const { profile } = calibrateHost(prior, networks(prior), machine);
  const { fp32 } = profile.precisions;
  return {
    ...profile,
    precisions: {
      fp32: {
        ...fp32,
        pointwiseGmacPerS: 55,
        spatialGmacPerS: 21,
        depthwiseGmacPerS: 4,
        weightGbPerS: 9,
        activationGbPerS: 12,
        normalisationGbPerS: 2,
        perKernelUs: 6,
      },
    },
  };
}

function networks(machineOf: MobileProfile | HostProfile, slowed?: string): ProfiledNetwork[] {
  return Object.entries(SPECS).map(([name, spec]) => {
    const graph = makeGraph(spec);
    const facts = factsOf(graph);
    const { layers, total } = estimate(graph, facts, machineOf);
    const factor = name === slowed ? 3 : 1;
    return {
      name,
      graph,
      facts,
      layers: layers
        .filter(({ fusedInto }) => fusedInto === undefined)
        .map((layer) => ({
          node: layer.node,
          ms: factor * (layer.latencyMs ?? 0),
          fused: layers.flatMap((other) => (other.fusedInto === layer.node ? [other.node] : [])),
        })),
      wholeMs: factor * total.latencyMs,
    };
  });
}

describe('the profile of this machine', () => {
  const device = truth();
  const measured = networks(device);
  const { profile, heldOut } = calibrateHost(prior, measured, machine);

  it('finds the rates of a machine from what its layers take', () => {
    const { fp32 } = profile.precisions;
    const { fp32: sought } = device.precisions;
    for (const name of ['spatialGmacPerS', 'weightGbPerS', 'normalisationGbPerS'] as const)
      expect(fp32[name]! / sought[name]!, name).toBeCloseTo(1, 1);
    for (const { name, fittedMs, measuredMs } of heldOut)
      expect(fittedMs / measuredMs, name).toBeCloseTo(1, 1);
  });

  it('says what it was measured on, and its error on what it was fitted without', () => {
    expect(profile).toMatchObject({
      kind: 'host',
      id: 'host',
      threads: 2,
      title: 'This machine, 2 threads',
      basis: { status: 'calibrated', errors: [{ rows: 5, of: /left out/ }], limits: /2 threads/ },
    });
    const [error] = profile.basis.status === 'calibrated' ? profile.basis.errors : [];
    const sizes = heldOut.map(({ predictedMs, measuredMs }) =>
      Math.abs(predictedMs / measuredMs - 1),
    );
    expect(error!.meanError).toBeCloseTo(sizes.reduce((a, b) => a + b) / sizes.length, 4);
  });

  it('keeps rates above zero, and to its prior where nothing was measured', () => {
    const only = networks(device).filter(({ name }) => name.endsWith('rows'));
    const { fp32, int8 } = calibrateHost(prior, only, machine).profile.precisions;
    for (const rates of [fp32, int8!])
      for (const rate of Object.values(rates)) expect(rate).toBeGreaterThan(0);
    // Of convolutions nothing is known but how they compare with each other.
    const before = prior.precisions.fp32;
    expect(fp32.stridedGmacPerS! / fp32.spatialGmacPerS).toBeCloseTo(
      before.stridedGmacPerS! / before.spatialGmacPerS,
      3,
    );
  });

  it('is little moved by a network that other programs disturbed', () => {
    const disturbed = calibrateHost(prior, networks(device, 'few rows'), machine);
    const wide = disturbed.heldOut.find(({ name }) => name === 'wide convolutions')!;
    expect(wide.fittedMs / wide.measuredMs).toBeGreaterThan(0.8);
    expect(wide.fittedMs / wide.measuredMs).toBeLessThan(1.25);
  });

  it('starts kernels for views, but not for shapes that are known before', () => {
    const views = (batch: number | string): ModelSpec => ({
      inputs: [value('x', [batch, 8])],
      outputs: [value('y')],
      weights: [],
      nodes: [
        node('Shape', ['x'], ['s'], {}, 'shape'),
        node('Reshape', ['x', 's'], ['r'], {}, 'view'),
        node('Relu', ['r'], ['y'], {}, 'work'),
      ],
    });
    const startsOf = (batch: number | string) => {
      const graph = makeGraph(views(batch));
      const { layers } = estimate(graph, factsOf(graph), device);
      return layers.filter(({ latencyMs }) => latencyMs !== 0).map(({ node: id }) => id);
    };
    expect(startsOf(2)).toEqual(['view', 'work']);
    expect(startsOf('n')).toEqual(expect.arrayContaining(['shape', 'view', 'work']));
  });
});
