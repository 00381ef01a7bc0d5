/**
 * Writes `language/passes/registry.generated.ts`: every file in a family's folder is a pass, so that adding a pass is
 * adding a file. And `language/data/images/codecs.generated.ts`: image decoders of packages, as text that any bundler takes.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMain, ROOT } from './lib/project.mjs';

const PASSES = path.join(ROOT, 'language/passes');
const REGISTRY = path.join(PASSES, 'registry.generated.ts');

const CODECS = path.join(ROOT, 'language/data/images/codecs.generated.ts');

export function generateRegistry() {
  write(REGISTRY, registryOf(families().flatMap(passesOf)));
  write(CODECS, codecs());
}

function write(file, text) {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  writeFileSync(file, text);
}

function codecs() {
  const wasm = (file) => readFileSync(path.join(ROOT, 'node_modules/@jsquash', file), 'base64');
  return `// Written by scripts/generate.mjs: WebAssembly of @jsquash/jpeg and @jsquash/webp, base64.
export const JPEG_WASM =
  '${wasm('jpeg/codec/dec/mozjpeg_dec.wasm')}';
export const WEBP_WASM =
  '${wasm('webp/codec/dec/webp_dec.wasm')}';
`;
}

/** The families in the order in which people see them, as the protocol lists them. */
function families() {
  const protocol = readFileSync(path.join(ROOT, 'language/protocol.ts'), 'utf8');
  const list = /export const FAMILIES = \[([^\]]*)\]/.exec(protocol)?.[1];
  if (!list) throw new Error('language/protocol.ts no longer lists FAMILIES');
  const known = [...list.matchAll(/'([^']+)'/g)].map((match) => match[1]);
  const unknown = readdirSync(PASSES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !known.includes(entry.name))
    .map((entry) => entry.name);
  if (unknown.length)
    throw new Error(`no family in language/protocol.ts is named ${unknown.join(', ')}`);
  return known;
}

function passesOf(family) {
  const folder = path.join(PASSES, family);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map((file) => {
      if (!/^export default /m.test(readFileSync(path.join(folder, file), 'utf8'))) {
        throw new Error(`language/passes/${family}/${file} has no default export: is it a pass?`);
      }
      return { family, method: path.basename(file, '.ts') };
    });
}

function registryOf(passes) {
  const identifier = ({ family, method }) =>
    `${family}-${method}`.replace(/[^a-z0-9]+([a-z0-9])/gi, (_, letter) => letter.toUpperCase());
  const lines = (render) => passes.map(render).join('\n');
  return `// Written by scripts/generate.mjs from the files in the folders beside it.
${lines((pass) => `import ${identifier(pass)} from './${pass.family}/${pass.method}';`)}

/** Every pass, by family and then by name. */
export const PASSES = [
${lines((pass) => `  ${identifier(pass)},`)}
] as const;
`;
}

if (isMain(import.meta)) generateRegistry();
