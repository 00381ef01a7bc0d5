/** A network unlike those that a profile was calibrated on has a wider error, and is told so. */
import { describe, expect, it } from 'vitest';
import { familyOf } from '../../../language/cost/confidence';
import { estimate } from '../../../language/cost/estimate';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { modelFiles } from '../../shared';
import { bundled, factsOf, workloadOf } from './subject';

const sample = (name: string) => {
  const file = modelFiles('samples').find((path) => path.endsWith(name))!;
  const graph = Graph.of(readModelFile(file));
  return { graph, facts: factsOf(graph) };
};

describe('confidence', () => {
  const profile = bundled('mobile.pixel3-cpu');

  it('is that of the calibration for a convolutional network', () => {
    const { graph, facts } = sample('shapes-resnet.onnx');
    const { confidence } = estimate(graph, facts, profile);
    expect(confidence).toMatchObject({ unseen: [], unseenShare: 0, note: 'validated' });
    expect(confidence.highError).toBeLessThan(0.2);
  });

  it.each(['mobile.pixel3-cpu', 'mobile.galaxy-s24-npu', 'fpga.zcu102-dpu'] as const)(
    'widens for a vision transformer on %s, which was fitted to convolutional ones',
    (id) => {
      const { graph, facts } = sample('shapes-vit.onnx');
      const target = bundled(id);
      const { confidence } = estimate(graph, facts, target);
      expect(confidence.note).toMatch(/^not validated for this kind of network: \d+ % of its time/);
      expect(confidence.unseen).toContain('product of many rows');
      const convolutional = sample('shapes-resnet.onnx');
      const known = estimate(convolutional.graph, convolutional.facts, target).confidence;
      expect(confidence.highError!).toBeGreaterThan(known.highError!);
      expect(confidence.lowError!).toBeLessThan(known.lowError!);
    },
  );

  it('states no error for what was never compared with a measurement', () => {
    const { graph, facts } = sample('shapes-resnet.onnx');
    const { confidence } = estimate(graph, facts, bundled('asic.systolic-32x32-ws'));
    expect(confidence).toMatchObject({ lowError: null, highError: null });
    expect(confidence.note).toMatch(/^analytical, not validated/);
  });

  it('tells layers apart by how they load a device', () => {
    const x = (...shape: number[]) => ({ shape });
    const w = (...shape: number[]) => ({ shape, weight: true as const });
    const family = (op: string, ...inputs: { shape: number[]; weight?: true }[]) =>
      familyOf(workloadOf({ op, inputs }));
    expect(family('MatMul', x(1, 64), w(64, 8))).toBe('product of one row');
    expect(family('MatMul', x(1, 49, 64), w(64, 8))).toBe('product of many rows');
    expect(family('MatMul', x(1, 49, 64), x(1, 64, 49))).toBe('attention');
    expect(family('Softmax', x(1, 49))).toBe('softmax');
  });
});
