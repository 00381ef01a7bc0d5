import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

/**
 * A file or folder of the test material that lies beside the project and is not part of it; undefined where it is absent,
 * as in a plain clone. Tests that need it skip then.
 */
export function shared(...parts: string[]): string | undefined {
  const found = path.join(import.meta.dirname, '../../shared', ...parts);
  return existsSync(found) ? found : undefined;
}

/** The `.onnx` files of sets of models beside the project, and of the samples that come with it. */
export function modelFiles(...sets: string[]): string[] {
  const folders = sets.flatMap((set) => shared('models', set) ?? []);
  const samples = path.join(import.meta.dirname, '../templates/samples');
  if (sets.includes('samples') && !shared('models/samples')) folders.push(samples);
  return folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.onnx'))
      .map((file) => path.join(folder, file)),
  );
}
