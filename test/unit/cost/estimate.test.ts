import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { counts } from '../../../language/cost/counts';
import { estimate } from '../../../language/cost/estimate';
import { resolveTarget } from '../../../language/cost/targets';
import { Graph } from '../../../language/graph/graph';
import type { Tensor } from '../../../language/onnx/model';
import { readModelFile } from '../../../language/onnx/read';
import { tensorBytes } from '../../../language/onnx/tensor';
import { writeModel } from '../../../language/onnx/write';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';
import { BUNDLED, bundled, factsOf } from './subject';

const KINDS = [
  bundled('mobile.pixel3-cpu'),
  bundled('fpga.zcu102-dpu'),
  bundled('asic.systolic-32x32-ws'),
  bundled('reram.isaac'),
];
const [mobile, fpga, asic] = KINDS as [(typeof KINDS)[0], (typeof KINDS)[0], (typeof KINDS)[0]];
const resolve = (id: string) => resolveTarget(id, BUNDLED);

const NETWORK: ModelSpec = {
  inputs: [value('x', [1, 3, 16, 16])],
  outputs: [value('y')],
  weights: [weight('w1', [8, 3, 3, 3]), weight('w2', [8, 8, 3, 3], 2), weight('w3', [8, 10], 3)],
  nodes: [
    node('Conv', ['x', 'w1'], ['c1'], { pads: [1, 1, 1, 1] }, 'conv1'),
    node('Relu', ['c1'], ['r1'], {}, 'relu1'),
    node('Conv', ['r1', 'w2'], ['c2'], { pads: [1, 1, 1, 1] }, 'conv2'),
    node('Add', ['c2', 'r1'], ['a'], {}, 'add'),
    node('GlobalAveragePool', ['a'], ['g'], {}, 'pool'),
    node('Flatten', ['g'], ['f'], {}, 'flatten'),
    node('Gemm', ['f', 'w3'], ['y'], {}, 'head'),
  ],
};

const run = (graph: Graph, target = mobile, options = {}) =>
  estimate(graph, factsOf(graph), target, options);

describe('estimate', () => {
  it.each(KINDS)('costs every node once, and the total is their sum: $id', (target) => {
    const graph = makeGraph(NETWORK);
    const { layers, total, transfers } = run(graph, target);
    expect(layers.map(({ node: id }) => id)).toEqual(graph.order.map(({ id }) => id));
    expect(total.latencyMs).toBe(layers.reduce((sum, layer) => sum + layer.latencyMs!, 0));
    expect(transfers).toEqual({ count: 0, bytes: 0, latencyMs: 0 });
    for (const layer of layers) {
      const terms = layer.terms.reduce((sum, { ms }) => sum + ms, 0);
      expect(layer.latencyMs).toBeCloseTo(terms, 12);
    }
    const byId = new Map(layers.map((layer) => [layer.node, layer]));
    expect(byId.get('relu1')).toMatchObject({ bound: 'fused', fusedInto: 'conv1', latencyMs: 0 });
    expect(byId.get('flatten')).toMatchObject({ bound: 'free', latencyMs: 0 });
    expect(byId.get('conv2')!.utilisation).toBeGreaterThan(0);
    expect(byId.get('pool')!.utilisation).toBeNull();
  });

  it('has energy where the profile does, and says null where not', () => {
    const graph = makeGraph(NETWORK);
    const energies = KINDS.map((target) => run(graph, target).total.energyMj);
    expect(energies).toEqual([null, null, expect.any(Number), expect.any(Number)]);
  });

  it('needs memory for the weights and for what is alive at the worst moment', () => {
    const graph = makeGraph(NETWORK);
    const weights = (8 * 27 + 8 * 72 + 80) * 4;
    // Node by node the sum of the convolution, its input and its output; fused, the same three.
    const activation = 8 * 256 * 4;
    expect(run(graph).total.peakMemoryBytes).toBe(weights + 3 * activation);
    expect(counts(graph, factsOf(graph))).toMatchObject({
      macs: 256 * 8 * 27 + 256 * 8 * 72 + 80,
      parameters: 8 * 27 + 8 * 72 + 80,
      weightBytes: weights,
      peakActivationBytes: 3 * activation,
      partial: false,
      unknown: [],
    });
    expect(run(graph, mobile, { as: 'int8' }).total.peakMemoryBytes).toBe(
      (weights + 3 * activation) / 4,
    );
  });

  it('marks totals as partial while a layer is unknown', () => {
    const graph = makeGraph({
      ...NETWORK,
      nodes: [
        ...NETWORK.nodes.slice(0, 6),
        node('Frobnicate', ['f'], ['y'], {}, 'odd', 'org.example'),
      ],
    });
    const { layers, total } = run(graph);
    expect(layers.at(-1)).toMatchObject({
      latencyMs: null,
      energyMj: null,
      bound: 'unknown',
      unknown: 'operator Frobnicate of domain org.example is not understood',
    });
    expect(total.partial).toBe(true);
    expect(total.latencyMs).toBeGreaterThan(0);
    expect(counts(graph, factsOf(graph))).toMatchObject({
      partial: true,
      unknown: [{ node: 'odd', op: 'Frobnicate' }],
    });
  });

  it.each(KINDS)('takes nothing for products of nothing: $id', (target) => {
    const graph = makeGraph({
      inputs: [value('q', [2, 'past', 8]), value('k', [2, 8, 4])],
      outputs: [value('y')],
      nodes: [node('MatMul', ['q', 'k'], ['y'], {}, 'product')],
    });
    const [layer] = estimate(graph, factsOf(graph, { past: 0 }), target).layers;
    expect(layer!.latencyMs).toBeGreaterThanOrEqual(0);
    expect(layer!.latencyMs).toBeLessThan(0.1);
    expect(layer!.utilisation).toBeNull();
  });

  it('costs a body as often as it runs', () => {
    const body = makeGraph({
      inputs: [value('h', [1, 8]), value('slice', [1, 8])],
      outputs: [value('next'), value('out')],
      nodes: [
        node('MatMul', ['h', 'w'], ['m'], {}, 'm'),
        node('Add', ['m', 'slice'], ['next'], {}, 'n'),
        node('Identity', ['next'], ['out'], {}, 'o'),
      ],
    }).toRecord();
    const scan = (steps: number) =>
      makeGraph({
        inputs: [value('h0', [1, 8]), value('xs', [steps, 1, 8])],
        outputs: [value('last'), value('all')],
        weights: [weight('w', [8, 8])],
        nodes: [node('Scan', ['h0', 'xs'], ['last', 'all'], { body, num_scan_inputs: 1 }, 'scan')],
      });
    for (const target of KINDS) {
      const [one, ten] = [run(scan(1), target), run(scan(10), target)];
      expect(ten.total.latencyMs).toBeCloseTo(10 * one.total.latencyMs, 12);
      expect(ten.layers[0]!.crossbars).toBe(one.layers[0]!.crossbars);
    }
  });
});

describe('a model spread over targets', () => {
  const assigned = (target: string, ...ids: string[]) => {
    const graph = makeGraph(NETWORK);
    for (const id of ids) graph.replace(id, { assigned: target });
    return graph;
  };

  it('runs each layer where it was put, and moves each value once', () => {
    const graph = assigned(asic.id, 'conv2');
    const { layers, transfers, total } = run(graph, mobile, { resolve });
    const alone = run(makeGraph(NETWORK), asic).layers.find((layer) => layer.node === 'conv2')!;
    const moved = layers.find((layer) => layer.node === 'conv2')!;
    expect(moved).toEqual({ ...alone, assigned: asic.id });
    // The activation goes there for the convolution, its result comes back for the addition.
    const bytes = 8 * 256 * 4;
    expect(transfers).toMatchObject({ count: 2, bytes: 2 * bytes });
    expect(transfers.latencyMs).toBeCloseTo(2 * (bytes / 10e6 + 0.1), 12);
    const sum = layers.reduce((all, layer) => all + layer.latencyMs!, 0);
    expect(total.latencyMs).toBe(sum + transfers.latencyMs);
    expect(total.energyMj).toBeNull();
  });

  it('does not fuse across targets, and views follow what they view', () => {
    expect(run(assigned(asic.id, 'conv1'), mobile, { resolve }).layers[1]).toMatchObject({
      node: 'relu1',
      bound: 'overhead',
    });
    // The result of the pooling comes back as the view of it that the head reads.
    expect(run(assigned(asic.id, 'pool'), mobile, { resolve }).transfers).toMatchObject({
      count: 2,
      bytes: 8 * 256 * 4 + 8 * 4,
    });
    // Pool and head on one target, the view between them nowhere: one value there, the output back.
    expect(run(assigned(asic.id, 'pool', 'head'), mobile, { resolve }).transfers.count).toBe(2);
  });

  it('moves a value once for all that read it there', () => {
    const { transfers } = run(assigned(asic.id, 'conv2', 'add'), mobile, { resolve });
    expect(transfers).toMatchObject({ count: 2, bytes: 2 * 8 * 256 * 4 });
  });

  it('keeps inputs and outputs of the model on the target being estimated', () => {
    const everywhere = assigned(asic.id, ...NETWORK.nodes.map(({ name }) => name));
    expect(run(everywhere, mobile, { resolve }).transfers.count).toBe(2);
    expect(run(everywhere, asic, { resolve }).transfers.count).toBe(0);
  });

  it('sends what an int8 target makes in bytes', () => {
    const there = run(assigned(fpga.id, 'conv2'), mobile, { resolve }).transfers;
    expect(there.bytes).toBe(8 * 256 * 4 + 8 * 256);
  });

  it('asks for a target that it was not given', () => {
    expect(() => run(assigned('fpga.unheard-of', 'conv2'))).toThrow(
      'conv2 is assigned to fpga.unheard-of, which is not known',
    );
    expect(() => run(assigned('fpga.zcu102-dqu', 'conv2'), mobile, { resolve })).toThrow(
      'Did you mean fpga.zcu102-dpu or fpga.zcu104-dpu?',
    );
  });
});

describe('the same graph', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'estimate '));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('costs the same to the last bit in memory, with weights computed later, and reopened', () => {
    const graph = makeGraph(NETWORK);
    const preview = graph.fork();
    for (const tensor of graph.initializers.values()) {
      const compute = () => tensorBytes(tensor);
      const later: Tensor = {
        ...tensor,
        data: { kind: 'computed', compute },
        density: () => ({ nonzeros: compute().length / 4, estimated: false }),
      };
      preview.setInitializer(later);
    }
    const file = path.join(folder, 'model.onnx');
    writeModel(graph.model, graph.toRecord(), graph.opsets, file);
    const reopened = Graph.of(readModelFile(file));
    for (const target of KINDS) {
      const first = run(graph, target);
      for (const other of [graph.fork(), preview, reopened])
        expect(run(other, target)).toEqual(first);
    }
  });

  it('is estimated while a decision about its zeros is open', () => {
    const graph = makeGraph(NETWORK);
    const w2 = graph.initializer('w2')!;
    graph.setInitializer({ ...w2, density: () => ({ nonzeros: 288, estimated: true }) });
    const { layers, total } = run(graph, asic);
    expect(layers.filter((layer) => layer.estimated).map((layer) => layer.node)).toEqual(['conv2']);
    expect(total.estimated).toBe(true);
    expect(run(graph, mobile).total.estimated).toBe(false);
  });

  it('is costed without its weights, which count as dense, and says so', () => {
    const graph = makeGraph(NETWORK);
    const dense = run(graph, asic);
    for (const tensor of graph.initializers.values()) {
      const location = { folder, location: 'absent.bin', offset: 0, length: undefined };
      graph.setInitializer({ ...tensor, data: { kind: 'external', location } });
    }
    const found = run(graph, asic);
    expect(found.total).toEqual(dense.total);
    expect(found.warnings).toEqual([
      expect.stringMatching(
        /^The weights of 3 layers cannot be read and count as dense: .*absent\.bin/,
      ),
    ]);
    expect(run(graph, mobile).warnings).toEqual([]);
  });
});

describe('another precision', () => {
  const graph = makeGraph(NETWORK);

  it('is what a target of one precision runs at anyway', () => {
    expect(run(graph, fpga, { as: 'int8' })).toEqual(run(graph, fpga));
    expect(run(graph, mobile, { as: 'int8' }).total.latencyMs).toBeLessThan(
      run(graph).total.latencyMs,
    );
  });

  it('halves weights and input reads of crossbars', () => {
    const isaac = KINDS[3]!;
    const layer = (options: object) =>
      run(graph, isaac, options).layers.find(({ node: id }) => id === 'conv2')!;
    expect([layer({}).crossbars, layer({ as: 'int8' }).crossbars]).toEqual([1, 1]);
    expect(layer({ as: 'int8' }).latencyMs! - 0.0022).toBeCloseTo(
      (layer({}).latencyMs! - 0.0022) / 2,
      9,
    );
  });
});

describe('what a device holds', () => {
  it('is the overlay’s share of the FPGA, with a warning when it does not fit', () => {
    const graph = makeGraph(NETWORK);
    const found = run(graph, fpga);
    expect(found.resources).toEqual({ dsp: 2130, lut: 154_164, bram: 765 });
    expect(found.warnings).toEqual([]);
    const small = bundled('fpga.zcu102-dpu');
    const tight = run(graph, { ...small, budget: { ...small.budget, dsp: 1000 } });
    expect(tight.warnings).toEqual(['The overlay takes 2130 DSP and the device has 1000']);
  });

  it('is the tiles of a chip of crossbars, likewise', () => {
    const chip = bundled('reram.isaac');
    const [warning] = run(makeGraph(NETWORK), { ...chip, tiles: 1 }).warnings;
    expect(warning).toMatch(/^The weights take 3 tiles and the chip has 1/);
  });
});
