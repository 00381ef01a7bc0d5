/**
 * Installs the VS Code server and its web workbench once, from the npm package that carries them: no compiler, no
 * install scripts. `CS_VERSION` picks another release of that package.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { addStandIns } from './lib/native-stand-ins.mjs';
import { isMain, npm, ROOT } from './lib/project.mjs';

const VERSION = process.env.CS_VERSION ?? '4.100.3';
/** Text search; the package fetches it in an install script, which is not run. */
const RIPGREP = '@vscode/ripgrep@1.18.0';

export const SERVER_HOME = path.join(ROOT, '.vscode-server');

/** Installs what is missing and answers the folder of the VS Code server. */
export async function setUpVsCode() {
  const home = path.join(SERVER_HOME, VERSION);
  const server = path.join(home, 'node_modules/code-server/lib/vscode');
  const stamp = path.join(home, `ready-${process.versions.modules}`);
  if (existsSync(stamp)) return server;
  console.log(`Installing the VS Code server (code-server ${VERSION}, once)…`);
  mkdirSync(home, { recursive: true });
  writeFileSync(path.join(home, 'package.json'), '{ "private": true }\n');
  await install(home, ['--engine-strict=false', `code-server@${VERSION}`]);
  await install(server, ['--omit=dev', RIPGREP]);
  addStandIns(server);
  writeFileSync(stamp, '');
  return server;
}

async function install(cwd, args) {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const code = await npm(['install', ...quiet, ...args], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (code === 0) return;
  throw new Error(
    'The VS Code server could not be installed. It is needed once, from the npm registry: check the network and run this again.',
  );
}

if (isMain(import.meta)) console.log(await setUpVsCode());
