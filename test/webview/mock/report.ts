import { MADE_UP_INPUTS, type Change, type Report } from '../../../language/protocol';
import {
  deviceOf,
  energyOf,
  macsOf,
  msOf,
  parametersOf,
  totalMs,
  weightBytesOf,
  work,
  type Facts,
  type Step,
  type Worked,
} from './engine';
import { layersOf, type Layer, type Model } from './models';

export function reportOf(
  model: Model,
  worked: Worked,
  steps: readonly Step[],
  targets: readonly string[],
  madeUp: boolean,
): Report {
  const layers = layersOf(model.parts);
  const digest = (path: string, bytes: number) => ({ path, bytes, sha256: '9f2c'.repeat(16) });
  const side = (state: ReadonlyMap<string, Facts>): Report['before'] => ({
    fileBytes: sum(layers, state, weightBytesOf) + 41_200,
    macs: sum(layers, state, macsOf),
    parameters: sum(layers, state, parametersOf),
    weightBytes: sum(layers, state, weightBytesOf),
    targets: targets.map((id) => ({
      id,
      title: deviceOf(id).title,
      basis: deviceOf(id).basis,
      latencyMs: totalMs(layers, state, id),
      energyMj:
        deviceOf(id).picojoulePerMac === null
          ? null
          : sum(layers, state, (layer, facts) => energyOf(layer, facts, id)!),
      partial: id === 'reram.isaac',
    })),
  });
  const [before, after] = [side(worked.before), side(worked.after)];
  const perTarget = new Map(targets.map((id) => [id, work(model, steps, id).steps]));
  return {
    version: 1,
    createdAt: '2026-03-02T10:15:00Z',
    model: digest(`models/${model.name}`, before.fileBytes),
    recipe: digest(`models/${model.name.replace('.onnx', '.whittle.yaml')}`, 612),
    output: digest(`models/${model.name.replace('.onnx', '.small.onnx')}`, after.fileBytes),
    environment: {
      whittle: '0.1.0',
      'ONNX Runtime': '1.30.0',
      processor: '8 cores, 2.4 GHz',
      platform: 'linux x64',
    },
    steps: worked.steps.map((step, index) => ({
      pass: step.pass,
      title: step.title,
      sites: step.sites,
      skipped: step.skipped,
      seconds: 0.8 + index * 2.1,
      latencyMs: Object.fromEntries([...perTarget].map(([id, of]) => [id, of[index]!.latencyMs])),
    })),
    before,
    after,
    fidelity: {
      data: madeUp ? MADE_UP_INPUTS : 'shapes.dataset.yaml',
      samples: 700,
      outputs: [{ name: model.output.name, sqnrDb: 27.4, cosine: 0.99913, maxAbs: 0.412 }],
      metric: { id: 'top1', before: 0.7214, after: 0.7186, samples: 700 },
      drop: 0.0039,
    },
    measured: {
      beforeMs: 14.9,
      afterMs: 11.3,
      conditions: '2 threads, batch 1, median of 30 runs',
      verdict: 'Faster here: 14.9 ms became 11.3 ms.',
    },
    layers: layers.map((layer) => layerReport(layer, worked, targets)),
  };
}

function layerReport(layer: Layer, { before, after }: Worked, targets: readonly string[]) {
  const change = (of: (layer: Layer, facts: Facts) => number): Change => ({
    before: of(layer, before.get(layer.id)!),
    after: of(layer, after.get(layer.id)!),
  });
  return {
    name: layer.id,
    op: layer.op,
    macs: change(macsOf),
    weightBytes: change(weightBytesOf),
    latencyMs: Object.fromEntries(
      targets.map((id) => [id, change((one, facts) => msOf(one, facts, id))]),
    ),
  };
}

function sum(
  layers: readonly Layer[],
  state: ReadonlyMap<string, Facts>,
  of: (layer: Layer, facts: Facts) => number,
): number {
  return layers.reduce((total, layer) => total + of(layer, state.get(layer.id)!), 0);
}
