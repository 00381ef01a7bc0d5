import onnxProto from 'onnx-proto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { tensorBytes, tensorNumbers } from '../../../language/onnx/tensor';
import { writeModel } from '../../../language/onnx/write';
import { makeModel, node, value, weight } from '../../models';
import { modelFiles, shared } from '../../shared';

const { onnx } = onnxProto;
const folder = mkdtempSync(path.join(tmpdir(), 'whittle-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const out = (name: string) => path.join(folder, name);

describe('a model that nothing was done to', () => {
  it.for(modelFiles('samples', 'trained', 'found'))('%s is written as it was read', (file) => {
    const model = readModelFile(file);
    const written = writeModel(model, Graph.of(model).toRecord(), model.opsets, out('copy.onnx'));
    const [before, after] = [file, written.model].map((f) =>
      onnx.ModelProto.decode(readFileSync(f)),
    );
    if (written.external) {
      expect(after!.graph!.node).toEqual(before!.graph!.node);
      return;
    }
    const [old, fresh] = [before!, after!].map((m) => onnx.ModelProto.encode(m).finish());
    expect(Buffer.compare(old!, fresh!)).toBe(0);
  });

  it('keeps fields that no schema knows', () => {
    const model = makeModel({
      inputs: [value('x', [1])],
      outputs: [value('y', [1])],
      nodes: [node('Relu', ['x'], ['y'])],
    });
    const plain = out('plain.onnx');
    writeModel(model, model.graph, model.opsets, plain);
    const unknown = Uint8Array.of(0xfa, 0x3f, 3, 1, 2, 3); // field 1023, three bytes
    const extended = out('extended.onnx');
    writeFileSync(extended, Buffer.concat([readFileSync(plain), unknown]));
    const copy = readModelFile(extended);
    writeModel(copy, copy.graph, copy.opsets, out('copied.onnx'));
    expect(readFileSync(out('copied.onnx')).includes(Buffer.from(unknown))).toBe(true);
  });
});

describe('reading', () => {
  it.for(modelFiles('samples', 'trained', 'found'))(
    '%s agrees with the reference decoder',
    (file) => {
      const model = readModelFile(file);
      const { graph } = onnx.ModelProto.decode(readFileSync(file));
      expect(model.graph.nodes.map((n) => [n.op, n.name, n.inputs, n.outputs])).toEqual(
        graph!.node!.map((n) => [n.opType, n.name, n.input, n.output]),
      );
      expect(model.graph.initializers.map((t) => [t.name, t.dims])).toEqual(
        graph!.initializer!.map((t) => [t.name, t.dims!.map(Number)]),
      );
      for (const [i, tensor] of model.graph.initializers.entries()) {
        const { rawData } = graph!.initializer![i]!;
        if (rawData?.length) expect(Buffer.compare(tensorBytes(tensor), rawData)).toBe(0);
      }
    },
  );

  it('decodes elements that stand in typed fields', () => {
    const proto = onnx.TensorProto.create({
      name: 'w',
      dims: [4],
      dataType: 3,
      int32Data: [-1, 2, 127, -128],
    });
    const half = onnx.TensorProto.create({
      name: 'h',
      dims: [2],
      dataType: 10,
      int32Data: [0x3c00, 0xc000],
    });
    const long = onnx.TensorProto.create({ name: 'l', dims: [1], dataType: 7, int64Data: [-5] });
    const model = onnx.ModelProto.create({
      irVersion: 8,
      graph: { name: 'g', initializer: [proto, half, long] },
    });
    const file = out('typed.onnx');
    writeFileSync(file, onnx.ModelProto.encode(model).finish());
    const [w, h, l] = readModelFile(file).graph.initializers;
    expect([...tensorNumbers(w!)]).toEqual([-1, 2, 127, -128]);
    expect([...tensorNumbers(h!)]).toEqual([1, -2]);
    expect([...tensorNumbers(l!)]).toEqual([-5]);
  });
});

describe('a model that was edited', () => {
  it('is what the reference decoder reads', () => {
    const model = makeModel({
      inputs: [value('x', ['batch', 4])],
      outputs: [value('y', ['batch', 3])],
      nodes: [
        node('MatMul', ['x', 'w'], ['h'], {}, 'first'),
        node('LeakyRelu', ['h'], ['y'], { alpha: 0.25 }),
      ],
      weights: [weight('w', [4, 3])],
    });
    const graph = Graph.of(model);
    graph.rewire('h', 'shifted');
    graph.insert({ op: 'Add', inputs: ['h', 'b'], outputs: ['shifted'] }, graph.node('first')!);
    graph.setInitializer(weight('b', [3], 7));
    writeModel(model, graph.toRecord(), graph.opsets, out('edited.onnx'));
    const { graph: read } = onnx.ModelProto.decode(readFileSync(out('edited.onnx')));
    expect(read!.node!.map((n) => `${n.opType}(${n.input!.join()})→${n.output!.join()}`)).toEqual([
      'MatMul(x,w)→h',
      'Add(h,b)→shifted',
      'LeakyRelu(shifted)→y',
    ]);
    expect(read!.node![2]!.attribute![0]!.f).toBe(0.25);
    expect(read!.input![0]!.type!.tensorType!.shape!.dim![0]!.dimParam).toBe('batch');
  });

  it('moves weights of an external file beside the copy', () => {
    const source = shared(
      'models/found/external_per_tensor/ultraface_slim320_external_pertensor.onnx',
    );
    if (!source) return;
    const model = readModelFile(source);
    const written = writeModel(model, Graph.of(model).toRecord(), model.opsets, out('moved.onnx'));
    expect(written.external).toBe(out('moved.onnx.data'));
    const copy = readModelFile(written.model);
    for (const [i, tensor] of copy.graph.initializers.entries())
      expect(Buffer.compare(tensorBytes(tensor), tensorBytes(model.graph.initializers[i]!))).toBe(
        0,
      );
  });
});
