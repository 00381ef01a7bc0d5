import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { WhittleError } from '../../../language/errors';
import { Graph } from '../../../language/graph/graph';
import { readModelBytes, readModelFile } from '../../../language/onnx/read';
import { MessageBuilder, type Piece } from '../../../language/onnx/wire';
import { tensorBytes } from '../../../language/onnx/tensor';
import { modelFiles, shared } from '../../shared';

const folder = mkdtempSync(path.join(tmpdir(), 'whittle-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytesOf = (message: MessageBuilder): Uint8Array =>
  Buffer.concat(
    message.pieces.map((piece: Piece) =>
      piece.kind === 'bytes' ? piece.bytes : new Uint8Array(0),
    ),
  );
const model = (graph: MessageBuilder) => bytesOf(new MessageBuilder().int(1, 8).message(7, graph));

describe('a file that is not a model', () => {
  it.each([
    ['empty', new Uint8Array(0), /empty/],
    ['text', new TextEncoder().encode('this is not a model, only text'), /not a valid ONNX model/],
    ['a page', new TextEncoder().encode('<!DOCTYPE html><html></html>'), /web page/],
    [
      'a pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
      /Git LFS/,
    ],
    ['an archive', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0), /archive/],
    ['no graph', Uint8Array.of(8, 8), /no graph/],
    ['cut off in a number', Uint8Array.of(8, 0x88), /cut off/],
    ['a length beyond the end', Uint8Array.of(0x3a, 0x7f, 1), /runs past the end/],
  ])('%s is refused with what is wrong', (_, bytes, message) => {
    expect(() => readModelBytes(bytes)).toThrow(message);
    expect(() => readModelBytes(bytes)).toThrow(WhittleError);
  });

  it('names the byte', () => {
    expect(() => readModelBytes(Uint8Array.of(8, 8, 0x3a, 0x7f, 1))).toThrow(/byte 2/);
  });

  it('refuses dimensions that no tensor has', () => {
    const negative = new MessageBuilder().message(
      5,
      new MessageBuilder().int(1, -1).int(2, 1).text(8, 'w'),
    );
    expect(() => readModelBytes(model(negative))).toThrow(/tensor w has the dimension -1/);
  });

  it('refuses nesting that no exporter makes', () => {
    let graph = new MessageBuilder();
    for (let i = 0; i < 70; i++)
      graph = new MessageBuilder().message(
        1,
        new MessageBuilder()
          .text(4, 'If')
          .message(5, new MessageBuilder().text(1, 'body').message(6, graph)),
      );
    expect(() => readModelBytes(model(graph))).toThrow(/nested deeper/);
  });

  it('says which tensor has the wrong number of bytes', () => {
    const tensor = new MessageBuilder()
      .int(1, 1000)
      .int(2, 1)
      .text(8, 'w')
      .bytes(9, new Uint8Array(12));
    const { graph } = readModelBytes(model(new MessageBuilder().message(5, tensor)));
    expect(() => tensorBytes(graph.initializers[0]!)).toThrow(
      /tensor w of float32 1000 needs 4000 bytes and has 12/,
    );
  });
});

describe('truncation and damage', () => {
  const small = shared('models/found/mnist_cnn_cntk.onnx');
  it.skipIf(!small)('every prefix of a model ends in a clear error or a model', async () => {
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(small!);
    for (let length = 0; length < bytes.length; length += length < 3000 ? 7 : 997) {
      try {
        expect(Graph.of(readModelBytes(bytes.subarray(0, length))).order.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(WhittleError);
      }
    }
  });

  it.skipIf(!small)('flipped bytes end in a clear error or a model', async () => {
    const { readFileSync } = await import('node:fs');
    const bytes = readFileSync(small!);
    let seed = 11;
    const below = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
    for (let round = 0; round < 400; round++) {
      const mutant = Uint8Array.from(bytes);
      for (let k = 0; k < 8; k++) mutant[below(Math.min(mutant.length, 4000))] = below(256);
      try {
        const graph = Graph.of(readModelBytes(mutant));
        for (const tensor of graph.initializers.values()) tensorBytes(tensor);
      } catch (error) {
        expect(error).toBeInstanceOf(WhittleError);
      }
    }
  });

  it.for(modelFiles('found/malformed'))('%s opens or says why not', (file) => {
    try {
      expect(Graph.of(readModelFile(file)).order.length).toBeGreaterThan(0);
    } catch (error) {
      expect(error).toBeInstanceOf(WhittleError);
    }
  });
});

describe('external data', () => {
  const external = (location: string) => {
    const entry = new MessageBuilder().text(1, 'location').text(2, location);
    const tensor = new MessageBuilder()
      .int(1, 1)
      .int(2, 1)
      .text(8, 'w')
      .message(13, entry)
      .int(14, 1);
    const file = path.join(folder, 'model', 'model.onnx');
    writeFileSync(file, model(new MessageBuilder().message(5, tensor)));
    return () => tensorBytes(readModelFile(file).graph.initializers[0]!);
  };
  mkdirSync(path.join(folder, 'model'));
  writeFileSync(path.join(folder, 'secret.bin'), new Uint8Array(4));
  symlinkSync(path.join(folder, 'secret.bin'), path.join(folder, 'model', 'link.bin'));
  writeFileSync(path.join(folder, 'model', 'good.bin'), new Uint8Array(4));

  it.each(['../secret.bin', '/etc/passwd', 'C:\\secret.bin', 'link.bin', ''])(
    '%s outside the folder is refused',
    (location) => {
      expect(external(location)).toThrow(/outside the model's folder/);
    },
  );
  it('is read from the folder', () => {
    expect(external('good.bin')()).toEqual(new Uint8Array(4));
  });
  it('that is absent is named', () => {
    expect(external('gone.bin')).toThrow(/in gone.bin, which is not there/);
  });
});
