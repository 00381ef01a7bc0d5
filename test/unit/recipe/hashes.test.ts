import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../language/graph/graph';
import { readModelFile } from '../../../language/onnx/read';
import { writeModel } from '../../../language/onnx/write';
import { fileHash } from '../../../language/recipe/files';
import { datasetHash, modelHash } from '../../../language/recipe/hashes';
import { makeGraph, node, value, weight } from '../../models';
import { npy, testFolder } from '../data/arrays';

const folder = testFolder();
const inputs = { x: { array: 'x' } };

describe('the hash of a data set', () => {
  mkdirSync(path.join(folder.path, 'pictures/cat'), { recursive: true });
  const image = folder.write('pictures/cat/one.png', 'not looked into');
  folder.write('labels.csv', 'file,label\ncat/one.png,1\n');
  folder.write('a.npy', npy('<f4', [2, 1], [1, 2]));
  folder.write('b.npy', npy('<f4', [2, 1], [3, 4]));
  folder.write('words.txt', 'some text');
  folder.write('tokenizer.json', '{}');
  folder.write('features.onnx', 'a model');

  it.for([
    ['an image of a folder', { images: 'pictures' }, image],
    ['the labels', { images: 'pictures', labels: 'labels.csv' }, 'labels.csv'],
    ['each of several arrays', { npy: { x: 'a.npy', y: 'b.npy' } }, 'b.npy'],
    [
      'the tokenizer',
      { text: 'words.txt', tokenizer: 'tokenizer.json', length: 4 },
      'tokenizer.json',
    ],
    ['the text', { text: 'words.txt', tokenizer: 'tokenizer.json', length: 4 }, 'words.txt'],
    ['the model of features', { npy: { x: 'a.npy' } }, 'features.onnx'],
  ] as const)('changes with %s', async ([, source, changed]) => {
    const metric = { id: 'frechet', features: { model: './features.onnx' } };
    const description = { source, inputs, metric } as never;
    const before = await datasetHash(description, folder.path);
    expect(await datasetHash(description, folder.path)).toBe(before);
    writeFileSync(path.resolve(folder.path, changed), `changed ${changed}`);
    expect(await datasetHash(description, folder.path)).not.toBe(before);
  });

  it('changes with what is added to a folder, and with names', async () => {
    const description = { source: { images: 'pictures' }, inputs } as never;
    const before = await datasetHash(description, folder.path);
    folder.write('pictures/cat/two.png', 'more');
    expect(await datasetHash(description, folder.path)).not.toBe(before);
  });

  it('is the same whether it lies in a file or in a recipe beside it', async () => {
    const description = { source: { npy: { x: './a.npy' } }, inputs };
    folder.write('x.dataset.yaml', JSON.stringify(description));
    expect(await datasetHash('x.dataset.yaml', folder.path)).toBe(
      await datasetHash(description as never, folder.path),
    );
  });
});

describe('the hash of a model', () => {
  it('is that of its file, and of the weights beside it', async () => {
    const graph = makeGraph({
      inputs: [value('x', [1, 32])],
      outputs: [value('y')],
      weights: [weight('w', [32, 32])],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    });
    const inline = path.join(folder.path, 'inline.onnx');
    writeModel(graph.model, graph.toRecord(), graph.opsets, inline);
    const read = Graph.of(readModelFile(inline));
    expect(await modelHash(inline, read)).toBe(await fileHash(inline));

    const weights = folder.write('weights.bin', new Uint8Array(4096));
    const location = { folder: folder.path, location: 'weights.bin', offset: 0, length: 4096 };
    const apart = graph.fork();
    apart.setInitializer({
      name: 'w',
      elementType: 'float32',
      dims: [32, 32],
      data: { kind: 'external', location },
    });
    const before = await modelHash(inline, apart);
    writeFileSync(weights, new Uint8Array(4096).fill(1));
    expect(await modelHash(inline, apart)).not.toBe(before);
  });
});
