/** The runtime's process, built for tests. */
import { buildSync } from 'esbuild';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Graph } from '../../../language/graph/graph';
import { writeModel } from '../../../language/onnx/write';

const root = path.join(import.meta.dirname, '../../..');
const outside = os.tmpdir();
/** Inside the project, so that `onnxruntime-node` is found from there. */
const cache = path.join(root, 'node_modules/.cache/whittle-tests');

export interface TestHost {
  /** Script of the process, for `RunOptions.entry`. */
  entry: string;
  /** A folder for the files of the test. */
  folder: string;
  /** Writes a model made by hand. */
  model: (name: string, graph: Graph) => string;
  /** Temporary folders that are there now; those of other programs are not seen. */
  leftovers: () => string[];
}

/** @param runtime instead of ONNX Runtime: the source of a module of its name */
export function testHost(runtime?: string): TestHost {
  const host = {} as TestHost;
  const temporary = process.env.TMPDIR;
  beforeAll(() => {
    mkdirSync(cache, { recursive: true });
    host.folder = mkdtempSync(path.join(runtime === undefined ? cache : outside, 'host-'));
    host.entry = path.join(host.folder, 'runtime.js');
    buildSync({
      entryPoints: {
        runtime: path.join(root, 'language/runtime/host.ts'),
        watch: path.join(root, 'language/runtime/watch.ts'),
      },
      outdir: host.folder,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      external: ['onnxruntime-node'],
    });
    if (runtime !== undefined) {
      const fake = path.join(host.folder, 'node_modules/onnxruntime-node');
      mkdirSync(fake, { recursive: true });
      writeFileSync(path.join(fake, 'index.js'), runtime);
    }
    const scratch = path.join(host.folder, 'tmp');
    mkdirSync(scratch);
    process.env.TMPDIR = scratch;
    host.leftovers = () => readdirSync(os.tmpdir());
    host.model = (name, graph) => {
      const file = path.join(host.folder, name);
      // A model made in memory imports its operator sets nowhere yet.
      writeModel({ ...graph.model, opsets: new Map() }, graph.toRecord(), graph.opsets, file);
      return file;
    };
  });
  afterAll(() => {
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
    rmSync(host.folder, { recursive: true, force: true });
  });
  return host;
}

export const sample = (name: string): string => path.join(root, 'templates/samples', name);
export const testDataset = (name: string): string => path.join(root, 'test/datasets', name);
