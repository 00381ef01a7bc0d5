import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fixedShape } from '../../../language/graph/facts';
import { Graph, subgraphs } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import type { Tensor } from '../../../language/onnx/model';
import { readModelBytes, readModelFile } from '../../../language/onnx/read';
import { ELEMENT_TYPES } from '../../../language/onnx/schema';
import { tensorBytes, tensorNumbers, tensorStrings } from '../../../language/onnx/tensor';
import type { MessageBuilder } from '../../../language/onnx/wire';
import { writeModel, type Written } from '../../../language/onnx/write';
import { bytesOf, entry, fieldsOf, inner, message, stranger, write } from './wire';

const folder = mkdtempSync(path.join(tmpdir(), 'whittle-fidelity-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]) => path.join(folder, ...parts);

const tensor = (name: string, code: number, dims: readonly number[], raw: Uint8Array) => {
  const built = message();
  for (const dim of dims) built.int(1, dim);
  return built.int(2, code).text(8, name).bytes(9, raw);
};

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const longs = (...values: bigint[]) => new Uint8Array(BigInt64Array.from(values).buffer);

const tensorType = (code: number, ...dims: (number | string)[]) => {
  const shape = message();
  for (const dim of dims)
    shape.message(1, typeof dim === 'number' ? message().int(1, dim) : message().text(2, dim));
  return message().message(1, message().int(1, code).message(2, shape));
};
const info = (name: string, type = tensorType(1, 2, 3)) => message().text(1, name).message(2, type);

/** Everything that a model of the newest schema can hold beside its nodes. */
function richModel(irVersion: number): MessageBuilder {
  const relu = message()
    .text(1, 'x')
    .text(2, 'h')
    .text(3, 'first')
    .text(4, 'Relu')
    .text(6, 'a doc string')
    .message(9, entry('namespace', 'encoder'))
    .message(10, message().text(1, 'device').int(2, 7)); // device configuration of IR 11
  const attribute = message().text(1, 'alpha').float(2, 0.5).int(20, 1).text(13, 'about alpha');
  const leaky = message()
    .text(1, 'h')
    .text(2, 'y')
    .text(3, 'second')
    .text(4, 'LeakyRelu')
    .message(5, stranger(attribute, 'in an attribute'));
  const sparse = message()
    .message(1, tensor('s', 1, [2], floats(5, 7)))
    .message(2, tensor('', 7, [2], longs(1n, 4n)))
    .int(3, 2)
    .int(3, 3);
  const words = message().int(1, 2).int(2, 8).text(8, 'words').text(6, 'één').text(6, 'two');
  const graph = message()
    .message(1, stranger(relu, 'in a node'))
    .message(1, leaky)
    .text(2, 'main')
    .text(10, 'the graph')
    .message(
      5,
      stranger(tensor('w', 1, [1], floats(3)).message(16, entry('k', 'v')), 'in a tensor'),
    )
    .message(5, words)
    .message(11, info('x').text(3, 'an input').message(4, entry('unit', 'pixel')))
    .message(12, stranger(info('y'), 'in a value'))
    .message(13, info('h'))
    .message(14, message().text(1, 'h').message(2, entry('SCALE_TENSOR', 'w')))
    .message(15, sparse)
    .message(16, entry('graph', 'metadata'));
  const local = message()
    .text(1, 'Double')
    .text(4, 'a')
    .text(5, 'b')
    .message(7, message().text(1, 'a').text(1, 'a').text(2, 'b').text(4, 'Add'))
    .text(8, 'a function')
    .message(9, message().int(2, 17))
    .text(10, 'mine')
    .message(11, message().text(1, 'gain').float(2, 2).int(20, 1))
    .message(12, info('a'))
    .text(13, 'wide')
    .message(14, entry('function', 'metadata'));
  const training = message()
    .message(1, message().text(2, 'initialization'))
    .message(2, stranger(message().text(2, 'algorithm'), 'in training'))
    .message(4, entry('w', 'w'));
  const model = message()
    .int(1, irVersion)
    .text(2, 'exporter')
    .text(3, '1.0')
    .text(4, 'org.example')
    .int(5, 3)
    .text(6, 'the model')
    .message(8, message().int(2, 17))
    .message(8, message().text(1, 'mine').int(2, 1))
    .message(7, stranger(graph, 'in the graph'))
    .message(14, entry('author', 'é'))
    .message(20, training)
    .message(25, local)
    .message(26, message().text(1, 'cluster').int(2, 4));
  return stranger(model, 'in the model');
}

const written = (file: string) => readFileSync(file);

describe('a model that holds everything', () => {
  it.each([3, 4, 8, 10, 11, 12, 13, 14])('of IR version %i is copied field for field', (ir) => {
    const source = at('rich.onnx');
    write(source, richModel(ir));
    const model = readModelFile(source);
    expect(model.irVersion).toBe(ir);
    writeModel(model, Graph.of(model).toRecord(), model.opsets, at('copy.onnx'));
    const [before, after] = [source, at('copy.onnx')].map(written);
    expect(fieldsOf(after!, 7)).toEqual(fieldsOf(before!, 7));
    expect(fieldsOf(inner(after!, 7))).toEqual(fieldsOf(inner(before!, 7)));
  });

  it('keeps what an edit does not concern', () => {
    const source = at('rich.onnx');
    write(source, richModel(13));
    const model = readModelFile(source);
    const graph = Graph.of(model);
    const near = graph.replace('first', { inputs: ['scaled'] });
    graph.insert({ op: 'Mul', inputs: ['x', 'w'], outputs: ['scaled'], name: 'new' }, near);
    writeModel(model, graph.toRecord(), graph.opsets, at('edited.onnx'));
    const [before, after] = [source, at('edited.onnx')].map(written);
    expect(fieldsOf(after!, 7)).toEqual(fieldsOf(before!, 7));
    const [old, fresh] = [before!, after!].map((bytes) => inner(bytes, 7));
    expect(fieldsOf(fresh!, 1)).toEqual(fieldsOf(old!, 1));
    const nodes = (bytes: Uint8Array) =>
      fieldsOf(bytes).filter((field) => field.startsWith('   1:'));
    // The changed node says the same but for its input.
    const hex = (text: string) => Buffer.from(text).toString('hex');
    const changed = nodes(fresh!).find((node) => node.includes(hex('first')))!;
    for (const kept of ['a doc string', 'namespace', 'encoder', 'device', 'in a node', 'Relu'])
      expect(changed).toContain(hex(kept));
    const second = (bytes: Uint8Array) => nodes(bytes).find((node) => node.includes(hex('second')));
    expect(second(fresh!)).toBe(second(old!));
  });

  it('is understood', () => {
    const model = readModelBytes(bytesOf(richModel(13)));
    const graph = Graph.of(model);
    expect(tensorStrings(graph.initializer('words')!)).toEqual(['één', 'two']);
    expect([...tensorNumbers(graph.initializer('s')!)]).toEqual([0, 5, 0, 0, 7, 0]);
    const facts = inferShapes(graph, { inputs: new Map() });
    expect(fixedShape(facts.value('s').shape)).toEqual([2, 3]);
    const [local] = model.functions;
    expect(local).toMatchObject({ name: 'Double', domain: 'mine', overload: 'wide' });
    expect([...local!.opsets]).toEqual([['', 17]]);
  });
});

describe('element types', () => {
  const types = Object.entries(ELEMENT_TYPES).filter(([, { bits }]) => bits > 0);

  it.each(types)('%s is carried as it is', (name, { code, bits }) => {
    const raw = Uint8Array.from({ length: Math.ceil((5 * bits) / 8) }, (_, i) => 17 * (i + 1));
    const bytes = bytesOf(message().message(7, message().message(5, tensor('w', code, [5], raw))));
    const [read] = readModelBytes(bytes).graph.initializers;
    expect(read).toMatchObject({ elementType: name, dims: [5] });
    expect([...tensorBytes(read!)]).toEqual([...raw]);
  });

  /** By field of TensorProto: element type, numbers in the field, packed bytes. */
  it.each<[string, number, number, number[], number[]]>([
    ['int4', 5, 22, [0xf1, 0x07], [0xf1, 0x07]], // two elements to a number
    ['uint2', 5, 25, [0xe4], [0xe4]], // four elements to a number
    ['float4e2m1', 5, 23, [0x21, 0x03], [0x21, 0x03]],
    ['float8e4m3fn', 5, 17, [0x38, 0xb8, 0x7e], [0x38, 0xb8, 0x7e]],
    ['bfloat16', 5, 16, [0x3f80], [0x80, 0x3f]],
    ['uint32', 11, 12, [0xffffffff], [255, 255, 255, 255]],
  ])('%s is read from typed field %i', (name, field, code, numbers, packed) => {
    const bits = ELEMENT_TYPES[name as keyof typeof ELEMENT_TYPES].bits;
    const count = bits < 8 ? (numbers.length * 8) / bits : numbers.length;
    const built = message().int(1, count).int(2, code).text(8, 'w');
    for (const number of numbers) built.int(field, number);
    const bytes = bytesOf(message().message(7, message().message(5, built)));
    const [read] = readModelBytes(bytes).graph.initializers;
    expect([...tensorBytes(read!)]).toEqual(packed);
  });

  it('complex numbers are read from the field of their parts', () => {
    const built = message().int(1, 1).int(2, 14).text(8, 'w').float(4, 1.5).float(4, -2);
    const bytes = bytesOf(message().message(7, message().message(5, built)));
    const [read] = readModelBytes(bytes).graph.initializers;
    expect([...tensorBytes(read!)]).toEqual([...floats(1.5, -2)]);
  });

  /** Values by the tables of the ONNX standard on float8 and float4. */
  it.each<[string, number[], number[]]>([
    ['float8e4m3fn', [0x38, 0xb8, 0x7e, 0x01, 0x7f], [1, -1, 448, 2 ** -9, NaN]],
    ['float8e4m3fnuz', [0x40, 0x7f, 0x01, 0x80], [1, 240, 2 ** -10, NaN]],
    ['float8e5m2', [0x3c, 0x7b, 0x7c, 0xfc, 0x7e], [1, 57344, Infinity, -Infinity, NaN]],
    ['float8e5m2fnuz', [0x40, 0x7f, 0x01, 0x80], [1, 57344, 2 ** -17, NaN]],
    ['float8e8m0', [127, 128, 0, 255], [1, 2, 2 ** -127, NaN]],
    ['float4e2m1', [0x10, 0x32, 0x54, 0x76, 0xf9], [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -6]],
  ])('%s is widened', (elementType, codes, expected) => {
    const dims = [expected.length];
    const data = { kind: 'memory', bytes: Uint8Array.from(codes) } as const;
    const read = { name: 'w', elementType, dims, data } as Tensor;
    expect([...tensorNumbers(read)]).toEqual(expected);
  });
});

describe('weights in other files', () => {
  const external = (name: string, location: string, offset: number, length: number, more = '') => {
    const built = message()
      .int(1, length / 4)
      .int(2, 1)
      .text(8, name);
    for (const [key, value] of Object.entries({ location, offset, length }))
      built.message(13, entry(key, String(value)));
    if (more) built.text(12, more);
    return built.int(14, 1);
  };
  const constant = (output: string, value: MessageBuilder) =>
    message()
      .text(2, output)
      .text(4, 'Constant')
      .message(5, message().text(1, 'value').message(5, value).int(20, 4));

  mkdirSync(at('source', 'parts'), { recursive: true });
  mkdirSync(at('target'));
  writeFileSync(at('source', 'parts', 'a.bin'), floats(...Array.from({ length: 64 }, (_, i) => i)));
  writeFileSync(at('source', 'b.bin'), floats(100, 101, 102, 103));

  const nested = () => {
    const branch = message()
      .message(1, message().text(1, 'inside').text(2, 'out').text(4, 'Identity'))
      .text(2, 'branch')
      .message(5, external('inside', 'parts/a.bin', 16, 16))
      .message(12, info('out'));
    const condition = message()
      .text(1, 'c')
      .text(2, 'y')
      .text(4, 'If')
      .message(5, stranger(message().text(1, 'then_branch').message(6, branch).int(20, 5), 'kept'))
      .message(5, message().text(1, 'else_branch').message(6, branch).int(20, 5));
    return message()
      .message(1, constant('k', external('', 'b.bin', 0, 16)))
      .message(1, condition)
      .text(2, 'g')
      .message(5, external('w', 'parts/a.bin', 0, 256, 'a weight'))
      .message(5, external('tied', 'parts/a.bin', 0, 256))
      .message(5, tensor('c', 9, [], Uint8Array.of(1)))
      .message(12, info('y'));
  };
  const build = (graph: MessageBuilder) => {
    const local = message()
      .text(1, 'F')
      .text(5, 'o')
      .message(7, constant('o', external('', 'b.bin', 8, 8)))
      .text(10, 'mine');
    write(
      at('source', 'm.onnx'),
      message().int(1, 10).message(8, message().int(2, 17)).message(25, local).message(7, graph),
    );
    return readModelFile(at('source', 'm.onnx'));
  };
  const copy = (edit: (graph: Graph) => void = () => undefined): Written => {
    const model = build(nested());
    const graph = Graph.of(model);
    edit(graph);
    return writeModel(model, graph.toRecord(), graph.opsets, at('target', 'm.onnx'));
  };
  const contents = (file: string) => {
    const { graph, functions } = readModelFile(file);
    const attribute = (node: { attributes: ReadonlyMap<string, { value: unknown }> }) =>
      node.attributes.get('value')!.value as { value: Tensor };
    const [held, condition] = graph.nodes;
    return [
      ...graph.initializers,
      attribute(held!).value,
      ...subgraphs(condition!).flatMap(({ initializers }) => initializers),
      attribute(functions[0]!.nodes[0]!).value,
    ].map((each) => [...tensorBytes(each)]);
  };

  it('move along wherever they are used, each stretch once', () => {
    const { model, external: data } = copy();
    expect(data).toBe(at('target', 'm.onnx.data'));
    expect(contents(model)).toEqual(contents(at('source', 'm.onnx')));
    // Three stretches on pages of their own, and the one that tied weights share.
    expect(readFileSync(data!).byteLength).toBe(3 * 4096 + 256);
    const text = readFileSync(model).toString('latin1');
    for (const kept of ['a weight', 'kept', 'branch']) expect(text).toContain(kept);
    expect(text).not.toContain('a.bin');
  });

  it('move along from what was edited', () => {
    const { model } = copy((graph) => {
      for (const { id } of graph.order) graph.replace(id, { name: `${id}_renamed` });
    });
    expect(contents(model)).toEqual(contents(at('source', 'm.onnx')));
  });

  it('stay named when they are not there', () => {
    const model = build(
      message()
        .text(2, 'g')
        .message(5, external('w', 'gone.bin', 0, 16)),
    );
    const result = writeModel(model, model.graph, model.opsets, at('target', 'gone.onnx'));
    expect(readFileSync(result.model).toString('latin1')).toContain('gone.bin');
  });

  it('are read of many files without keeping them open', () => {
    const parts = Array.from({ length: 1100 }, (_, i) => `many${i}.bin`);
    const graph = message().text(2, 'g');
    parts.forEach((part, i) => {
      writeFileSync(at('source', part), floats(i));
      graph.message(5, external(part, part, 0, 4));
    });
    const model = build(graph);
    const open = () => process.getActiveResourcesInfo().length;
    const before = open();
    for (const each of model.graph.initializers) tensorBytes(each);
    expect(open()).toBeLessThanOrEqual(before + 2);
    const { external: data } = writeModel(
      model,
      model.graph,
      model.opsets,
      at('target', 'many.onnx'),
    );
    expect(readFileSync(data!).byteLength).toBe(1100 * 4096 + 4);
  });

  writeFileSync(at('secret.bin'), floats(1));
  symlinkSync(at('secret.bin'), at('source', 'link.bin'));
  symlinkSync(folder, at('source', 'up'));
  it.each([
    '../secret.bin',
    'parts/../../secret.bin',
    '/etc/passwd',
    'C:\\secret.bin',
    'link.bin',
    'up/secret.bin',
    'up/source/b.bin/../../secret.bin',
    '',
  ])('at %j are refused when the model is opened, in bodies too', (location) => {
    const tensorProto = external('w', location, 0, 4);
    expect(() => build(message().message(5, tensorProto))).toThrow(/outside the model's folder/);
    expect(() => build(message().message(1, constant('k', tensorProto)))).toThrow(/outside the/);
  });
  it.each(['b.bin', './b.bin', 'parts\\a.bin', '..b.bin'])('at %j are not', (location) => {
    writeFileSync(at('source', '..b.bin'), floats(1));
    const model = build(message().message(5, external('w', location, 0, 4)));
    expect(tensorBytes(model.graph.initializers[0]!).byteLength).toBe(4);
  });
});
