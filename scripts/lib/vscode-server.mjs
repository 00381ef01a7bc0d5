import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { packageJson, ROOT } from './project.mjs';
import { start, stop } from './processes.mjs';

const SETTINGS = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.enableExperiments': false,
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'update.showReleaseNotes': false,
  'chat.disableAIFeatures': true,
  'remote.autoForwardPorts': false,
  'git.enabled': false,
  'files.autoSave': 'off', // as in the desktop; the web's default is to save after a second
};

/**
 * Prepares a folder for a server's settings and extensions. With `link`, the extension is this working copy, as last built.
 * Settings that the folder already has are kept.
 */
export function prepareData(data, { link = true, settings = {} } = {}) {
  const user = path.join(data, 'data/User');
  const extensions = path.join(data, 'extensions');
  mkdirSync(user, { recursive: true });
  const file = path.join(user, 'settings.json');
  const text = JSON.stringify({ ...SETTINGS, ...settings }, null, 2);
  if (!existsSync(file)) writeFileSync(file, `${text}\n`);
  if (!link) return;
  // Both hold what the server last knew of the extension's manifest.
  rmSync(extensions, { recursive: true, force: true });
  rmSync(path.join(data, 'data/CachedProfilesData'), { recursive: true, force: true });
  mkdirSync(extensions, { recursive: true });
  const { publisher, name, version } = packageJson();
  symlinkSync(ROOT, path.join(extensions, `${publisher}.${name}-${version}`), 'junction');
}

/**
 * Serves the workbench on the loopback interface, behind a token, without telemetry or a gallery.
 *
 * @param {object} options
 * @param {string} options.server folder of the VS Code server
 * @param {string} options.data its settings, extensions and logs; see `prepareData`
 * @param {number} [options.port] a free one when left out
 * @param {boolean} [options.driver] lets a page load an extension and its tests by URL, and be told how they went
 * @param {Record<string, string>} [options.env] for the extension host
 */
export async function serveVsCode({ server, data, port = 0, driver = false, env = {} }) {
  const token = randomBytes(16).toString('hex');
  const tokenFile = path.join(data, 'token');
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const child = start(
    process.execPath,
    [
      path.join(server, 'out/server-main.js'),
      ...['--host', '127.0.0.1', '--port', String(port), '--connection-token-file', tokenFile],
      ...['--server-data-dir', data, '--extensions-dir', path.join(data, 'extensions')],
      ...['--accept-server-license-terms', '--telemetry-level', 'off', '--disable-workspace-trust'],
      ...(driver ? ['--enable-smoke-test-driver'] : []),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...env, EXTENSIONS_GALLERY: '{"serviceUrl":""}' },
    },
  );
  const bound = await boundPort(child);
  return {
    child,
    /** Address of the workbench; `payload` is VS Code's own way to hand over options. */
    url(folder, payload) {
      const url = new URL(`http://127.0.0.1:${bound}/`);
      url.searchParams.set('tkn', token);
      url.searchParams.set('folder', folder);
      if (payload) url.searchParams.set('payload', JSON.stringify(payload));
      return url.href;
    },
    /** How the workbench names a file of this machine. */
    remoteUri: (file) => `vscode-remote://127.0.0.1:${bound}${file}`,
    stop: () => stop(child),
  };
}

/** Resolves with the port once the server answers. */
function boundPort(child) {
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk) => {
      output += chunk;
      const port = /Extension host agent listening on (\d+)/.exec(output)?.[1];
      if (port) resolve(Number(port));
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.on('error', reject);
    child.on('exit', (code) =>
      reject(new Error(`The VS Code server ended with code ${code}:\n${output}`)),
    );
  });
}

/** An editor that this may have been started from leaves variables that would steer the server. */
function cleanEnvironment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VSCODE|ELECTRON|npm)_/i.test(name)),
  );
}
