import { cpSync, existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './project.mjs';

/** The model that `npm start` opens. */
export const FIRST_MODEL = 'samples/shapes-resnet.onnx';

/** Fills a folder with the sample models, their data sets and the recipe templates; what lies there already stays. */
export function prepareWorkspace(folder) {
  for (const part of ['samples', 'recipes']) {
    const source = path.join(ROOT, 'templates', part);
    cpSync(source, path.join(folder, part), { recursive: true, force: false });
  }
  const first = path.join(folder, FIRST_MODEL);
  if (!existsSync(first)) throw new Error(`templates/${FIRST_MODEL} is missing`);
  return folder;
}
