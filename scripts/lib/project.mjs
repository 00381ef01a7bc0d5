import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { exitCode, start } from './processes.mjs';

export const ROOT = path.resolve(import.meta.dirname, '../..');
export const DIST = path.join(ROOT, 'dist');
/** Logs, reports and screenshots of a run; nothing that a build needs. */
export const OUT = path.join(ROOT, 'out');

export const packageJson = () => readJson(path.join(ROOT, 'package.json'));

export const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Runs a program to its end and answers its exit code; output goes straight through unless `stdio` says otherwise. */
export function run(program, args, options = {}) {
  return exitCode(start(program, args, { cwd: ROOT, stdio: 'inherit', ...options }));
}

export const runNode = (args, options) => run(process.execPath, args, options);

/** The JavaScript file behind a command of an installed package, to be run without a shell. */
export function commandOf(packageName, command = packageName) {
  const folder = path.join(ROOT, 'node_modules', packageName);
  const { bin } = readJson(path.join(folder, 'package.json'));
  return path.join(folder, typeof bin === 'string' ? bin : bin[command]);
}

export async function npm(args, options) {
  const script = process.env.npm_execpath;
  if (script && /\.[cm]?js$/.test(script)) return runNode([script, ...args], options);
  const windows = process.platform === 'win32'; // npm is a batch file there, which only a shell starts
  return run(windows ? 'npm.cmd' : 'npm', args, { shell: windows, ...options });
}

/** Brings `node_modules` in step with the lock file; does nothing where it already is. */
export async function installDependencies() {
  if (!staleDependencies()) return;
  console.log('Installing dependencies…');
  const code = await npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  if (code !== 0) throw new Error('npm ci failed: are the network and the npm registry reachable?');
}

/** npm leaves a lock file of what it installed; optional packages of other platforms are not in it. */
function staleDependencies() {
  const hidden = path.join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(hidden)) return true;
  const installed = readJson(hidden).packages;
  return Object.entries(readJson(path.join(ROOT, 'package-lock.json')).packages).some(
    ([place, wanted]) =>
      place !== '' && !wanted.optional && installed[place]?.version !== wanted.version,
  );
}

/** Whether a module is the program that was started, rather than imported. */
export const isMain = (meta) => realpathSync(process.argv[1]) === meta.filename;
