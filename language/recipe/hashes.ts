/** Hashes of what a result depends on: every byte that a model or a data set consists of, in whatever files. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { readDescription } from '../data/description';
import { sourceFiles, sourceSchema } from '../data/kinds';
import { describeError, WhittleError } from '../errors';
import { subgraphs, type Graph } from '../graph/graph';
import { externalPath } from '../onnx/external';
import type { GraphRecord, Tensor } from '../onnx/model';
import { fileHash, resolveFrom, textHash } from './files';
import type { DatasetReference } from './schema';

/** Of the file alone where all of the model is in it. */
export async function modelHash(file: string, graph: Graph): Promise<string> {
  const own = await fileHash(file);
  const external = [...new Set(externalFiles(graph.toRecord()))].sort().filter(existsSync);
  if (external.length === 0) return own;
  return textHash(JSON.stringify([own, ...(await hashesOf(external))]));
}

function* externalFiles({ initializers, nodes }: GraphRecord): Generator<string> {
  for (const tensor of initializers) yield* externalFile(tensor);
  for (const node of nodes) {
    for (const { value } of node.attributes.values())
      if (value.kind === 'tensor') yield* externalFile(value.value);
    for (const body of subgraphs(node)) yield* externalFiles(body);
  }
}

function* externalFile({ name, data }: Tensor): Generator<string> {
  if (data.kind !== 'external') return;
  yield externalPath(data.location.folder, data.location.location, name);
}

/** The description of a data set, and every file that it names: folders with all that is in them. */
export async function datasetHash(dataset: DatasetReference, folder: string): Promise<string> {
  const { description, files } = describedData(dataset, folder);
  return textHash(JSON.stringify([description, await hashesOf(files.filter(existsSync))]));
}

/** The description of a data set, with the files and folders that it names, there or not. */
export function describedData(
  dataset: DatasetReference,
  folder: string,
): { readonly description: unknown; readonly files: readonly string[] } {
  const file = typeof dataset === 'string' ? resolveFrom(folder, dataset) : undefined;
  const description: unknown = file === undefined ? dataset : readDescription(file);
  const base = file === undefined ? folder : path.dirname(file);
  return { description, files: namedFiles(description).map((name) => resolveFrom(base, name)) };
}

function namedFiles(description: unknown): string[] {
  const { source, metric } = description as {
    readonly source?: unknown;
    readonly metric?: { readonly features?: { readonly model?: unknown } };
  };
  const known = sourceSchema.safeParse(source);
  const features = metric?.features?.model;
  return [
    ...(known.success ? sourceFiles(known.data) : []),
    ...(typeof features === 'string' ? [features] : []),
  ];
}

async function hashesOf(files: readonly string[]): Promise<string[]> {
  const hashes: string[] = [];
  for (const file of files) hashes.push(await contentHash(file));
  return hashes;
}

async function contentHash(file: string): Promise<string> {
  if (!statSync(file).isDirectory()) return fileHash(file);
  const names = filesWithin(file);
  const hashes = await hashesOf(names.map((name) => path.join(file, name)));
  return textHash(JSON.stringify(names.map((name, i) => [name, hashes[i]])));
}

/** Paths from the folder, the same on every machine. */
function filesWithin(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
      .map((name) => name.split(path.sep).join('/'))
      .sort();
  } catch (error) {
    throw new WhittleError(`cannot read ${folder}: ${describeError(error)}`);
  }
}
