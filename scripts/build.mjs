/**
 * Bundles everything into `dist/`. `--minify` is for packaging: smaller, without source maps; `--tests` adds the suites
 * that run inside the extension host.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';
import { generateRegistry } from './generate.mjs';
import { DIST, isMain, ROOT } from './lib/project.mjs';

const HASHBANG = '#!/usr/bin/env node';

/** Bundles and answers which files went into them. */
export async function build({ minify = false, tests = false } = {}) {
  generateRegistry();
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  const common = {
    absWorkingDir: ROOT,
    outdir: DIST,
    bundle: true,
    metafile: true,
    minify,
    sourcemap: !minify,
    legalComments: 'none', // all licences are in THIRD-PARTY-NOTICES.txt
    logLevel: 'warning',
    // React's own checks for developers take most of the time of a preview: what is measured and tried is what is shipped.
    define: { 'process.env.NODE_ENV': '"production"' },
  };
  const bundles = [NODE, COMMAND_LINE, WEBVIEW, ...(tests ? [TESTS] : [])];
  const results = await Promise.all(
    bundles.map((bundle) => esbuild.build(merge(common, bundle()))),
  );
  chmodSync(path.join(DIST, 'cli.mjs'), 0o755);
  copyCodicons();
  return results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
}

/** Programs of the extension: its host half, the server, and the processes that the server forks. */
const NODE = () => ({
  ...COMMON_JS,
  entryPoints: {
    extension: 'extension/main.ts',
    server: 'language/server.ts',
    job: 'language/job.ts',
    runtime: 'language/runtime/host.ts',
    watch: 'language/runtime/watch.ts',
  },
});

const TESTS = () => ({
  ...COMMON_JS,
  external: [...COMMON_JS.external, 'mocha'],
  entryPoints: { 'test/index': 'test/integration/index.ts' },
});

const COMMON_JS = {
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['vscode', 'onnxruntime-node'],
  define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename' },
};

/** Split, so that a command loads what it needs; the parts lie beside the entry, so that both see the same folder. */
const COMMAND_LINE = () => ({
  platform: 'node',
  target: 'node20',
  format: 'esm',
  splitting: true,
  external: ['onnxruntime-node'],
  entryPoints: { cli: 'language/cli.ts' },
  outExtension: { '.js': '.mjs' },
  chunkNames: 'cli-[name]-[hash]',
  banner: { js: commandLineBanner() },
});

/** Bundled CommonJS packages ask for Node's own modules with `require`. */
function commandLineBanner() {
  const marked = readFileSync(path.join(ROOT, 'language/cli.ts'), 'utf8').startsWith('#!');
  const require = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;
  return marked ? require : `${HASHBANG}\n${require}`;
}

const WEBVIEW = () => ({
  platform: 'browser',
  target: 'es2022',
  format: 'iife',
  entryPoints: { webview: 'webview/main.tsx' },
});

const merge = (common, bundle) => ({
  ...common,
  ...bundle,
  define: { ...common.define, ...bundle.define },
});

function copyCodicons() {
  for (const file of ['codicon.css', 'codicon.ttf']) {
    copyFileSync(
      path.join(ROOT, 'node_modules/@vscode/codicons/dist', file),
      path.join(DIST, file),
    );
  }
}

if (isMain(import.meta)) {
  const { values } = parseArgs({
    options: { minify: { type: 'boolean' }, tests: { type: 'boolean' } },
  });
  await build(values);
}
