/** Files of a recipe: the model it is about, where results go, and how they get there without leaving a trace of failure. */
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { WhittleError } from '../errors';

export const RECIPE_SUFFIX = '.whittle.yaml';
export const isRecipeFile = (file: string): boolean => /\.whittle\.ya?ml$/.test(file);

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new WhittleError(`cannot read ${file}`, { cause });
  }
}

/** A path of a recipe, which may be written with either separator, relative to the recipe. */
export function resolveFrom(folder: string, file: string): string {
  return path.resolve(folder, path.sep === '/' ? file.replaceAll('\\', '/') : file);
}

/** The same file, however it is spelled. */
export function isSameFile(a: string, b: string): boolean {
  const real = (file: string) => (existsSync(file) ? realpathSync(file) : path.resolve(file));
  return real(a) === real(b);
}

/** How a recipe beside a model names it. */
export function modelReference(recipeFolder: string, model: string): string {
  const relative = path.relative(recipeFolder, model).split(path.sep).join('/');
  return relative.startsWith('.') || path.isAbsolute(relative) ? relative : `./${relative}`;
}

/** `MODEL.RECIPE.onnx` beside the model; `MODEL.compressed.onnx` where the recipe has no name of its own. */
export function outputPath(model: string, recipe: string | undefined): string {
  const modelName = path.basename(model).replace(/\.onnx$/, '');
  const recipeName = recipe ? path.basename(recipe).replace(/\.whittle\.ya?ml$/, '') : modelName;
  const own = recipeName.startsWith(`${modelName}.`)
    ? recipeName.slice(modelName.length + 1)
    : recipeName;
  const label = own === modelName || own === '' ? 'compressed' : own;
  return path.join(path.dirname(model), `${modelName}.${label}.onnx`);
}

export const reportPath = (output: string): string =>
  `${output.replace(/\.onnx$/, '')}.report.json`;

/** SHA-256 of a file, read as a stream. */
export function fileHash(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    createReadStream(file)
      .on('data', (chunk) => hash.update(chunk))
      .on('error', (cause) => reject(new WhittleError(`cannot read ${file}`, { cause })))
      .on('end', () => resolve(hash.digest('hex')));
  });
}

export const textHash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Written beside the file, then renamed: it is complete, or as it was. */
export function writeWhole(file: string, content: string | Uint8Array): void {
  const staged = `${file}.${process.pid}.part`;
  try {
    writeFileSync(staged, content, { flush: true });
    renameSync(staged, file);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
}

/**
 * A folder beside the output that results are written into, under their final names, and from which they are moved when all
 * is well. Folders that a killed process left are swept away by the next one.
 */
export class Staging {
  readonly #folder: string;
  readonly #target: string;

  constructor(output: string) {
    this.#target = path.dirname(path.resolve(output));
    const prefix = `.${path.basename(output)}.whittle-`;
    this.#folder = path.join(this.#target, `${prefix}${process.pid}`);
    try {
      if (existsSync(this.#target)) sweep(this.#target, prefix);
      mkdirSync(this.#folder, { recursive: true });
    } catch (cause) {
      throw new WhittleError(`cannot write into ${this.#target}`, {
        hint: 'Choose another folder for the output',
        cause,
      });
    }
  }

  /** Where a file is written that ends up as `target`. */
  path(target: string): string {
    return path.join(this.#folder, path.basename(target));
  }

  /** Moves everything to where it belongs, the first file last, and removes the folder. */
  commit(targets: readonly string[]): void {
    const moved: string[] = [];
    try {
      for (const target of [...targets].reverse()) {
        renameSync(this.path(target), path.join(this.#target, path.basename(target)));
        moved.push(target);
      }
    } catch (cause) {
      for (const target of moved)
        rmSync(path.join(this.#target, path.basename(target)), { force: true });
      throw new WhittleError(`cannot write into ${this.#target}`, { cause });
    } finally {
      this.discard();
    }
  }

  discard(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function sweep(folder: string, prefix: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    const owner = Number(name.slice(prefix.length));
    if (owner !== process.pid && !isAlive(owner))
      rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
