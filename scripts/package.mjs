/**
 * `npm run package`: the extension as one `.vsix` for one platform, this one or that of `--target` (`linux-x64`,
 * `win32-arm64`, … as VS Code names them). `--out FILE` says where.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { thirdPartyNotices } from './lib/notices.mjs';
import { commandOf, DIST, OUT, packageJson, ROOT, runNode } from './lib/project.mjs';

const { values: options } = parseArgs({
  options: {
    target: { type: 'string', default: `${process.platform}-${process.arch}` },
    out: { type: 'string' },
  },
});

/** The same bytes as `libonnxruntime.1.dylib`, which the binding links. */
const UNUSED = /^libonnxruntime\.1\..+\.dylib$/;

const { name, version } = packageJson();
const out = path.resolve(
  options.out ?? path.join(ROOT, `${name}-${options.target}-${version}.vsix`),
);

const bundledFiles = await build({ minify: true });
writeFileSync(path.join(DIST, 'THIRD-PARTY-NOTICES.txt'), thirdPartyNotices(bundledFiles));
const code = await runNode([
  commandOf('@vscode/vsce', 'vsce'),
  'package',
  ...['--target', options.target, '--ignoreFile', ignoreFile(options.target), '--out', out],
  // The README's pictures are in the package, and need no address.
  ...['--allow-missing-repository', '--no-rewrite-relative-links'],
]);
if (code !== 0) process.exit(code);
console.log(`${out}: ${(statSync(out).size / 1e6).toFixed(1)} MB`);

/**
 * `.vscodeignore`, and the native library of one platform; none exists for Intel Macs, where most works without. What a line
 * lets in, no later line keeps out.
 */
function ignoreFile(target) {
  const [os, arch] = target.split('-');
  const native = `node_modules/onnxruntime-node/bin/napi-v6/${os}/${arch}`;
  const folder = path.join(ROOT, native);
  const libraries = existsSync(folder) ? readdirSync(folder) : [];
  const lines = libraries.filter((file) => !UNUSED.test(file)).map((file) => `!${native}/${file}`);
  mkdirSync(OUT, { recursive: true });
  const file = path.join(OUT, 'vscodeignore');
  const fixed = readFileSync(path.join(ROOT, '.vscodeignore'), 'utf8');
  writeFileSync(file, [fixed, ...lines, ''].join('\n'));
  return file;
}
