/** Bundles the webview and a host that plays the extension, to be opened in any browser: `node test/webview/build.mjs`. */
import { build } from 'esbuild';
import { copyFile, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
export const OUT = fileURLToPath(new URL('out/webview/', root));

const path = (name) => fileURLToPath(new URL(name, root));

export async function buildHarness() {
  await mkdir(OUT, { recursive: true });
  const shared = {
    bundle: true,
    format: 'iife',
    target: 'chrome122',
    define: { 'process.env.NODE_ENV': JSON.stringify(process.env.NODE_ENV ?? 'development') },
    minify: true,
    sourcemap: 'linked',
    logLevel: 'warning',
  };
  await Promise.all([
    build({
      ...shared,
      entryPoints: [path('webview/main.tsx')],
      outfile: `${OUT}webview.js`,
      jsx: 'automatic',
    }),
    build({
      ...shared,
      entryPoints: [path('test/webview/mock/main.ts')],
      outfile: `${OUT}mock.js`,
    }),
    copyFile(path('test/webview/harness.html'), `${OUT}harness.html`),
    ...['codicon.css', 'codicon.ttf'].map((name) =>
      copyFile(path(`node_modules/@vscode/codicons/dist/${name}`), OUT + name),
    ),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildHarness();
