import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { findChromium } from './chromium.mjs';
import { exitCode, start, stop } from './processes.mjs';
import { commandOf, OUT, readJson, ROOT, runNode } from './project.mjs';

const NO_BROWSER =
  'no Chromium was found: install one, or set CHROMIUM to where it is (as root on Debian it is installed by itself)';
/** A browser test that takes longer hangs. */
const MOST_MS = 600_000;

/** What `npm test` runs, in order. Each answers how many tests passed and failed, and names those that it skipped. */
export const SUITES = {
  format: () => step(commandOf('prettier'), ['--check', '--log-level=warn', '.']),
  types: () => types(),
  lint: () => step(commandOf('eslint'), ['.', '--max-warnings=0']),
  build: () => build(),
  unit: () => unit(),
  host: () => browserSuite(['test/integration'], host),
  webview: () => browserSuite(endToEnd('test/webview'), programs),
  e2e: () => browserSuite(endToEnd('test/e2e'), programs),
};

export const BROWSER_SUITES = new Set(['host', 'webview', 'e2e']);

/** Runs before the suites that need it, also when they run alone. */
async function generated() {
  const { generateRegistry } = await import('../generate.mjs');
  generateRegistry();
}

async function step(script, args) {
  await generated();
  return verdict(await runNode([script, ...args]));
}

const verdict = (code) => ({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [] });

async function types() {
  const projects = ['.', 'webview', 'test/webview'].filter((project) =>
    existsSync(path.join(ROOT, project, 'tsconfig.json')),
  );
  await generated();
  const codes = [];
  for (const project of projects)
    codes.push(await runNode([commandOf('typescript', 'tsc'), '-p', project]));
  return verdict(codes.find((code) => code !== 0) ?? 0);
}

async function unit() {
  await generated();
  const report = path.join(OUT, 'unit.json');
  rmSync(report, { force: true });
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const code = await runNode([commandOf('vitest'), 'run', ...reporters]);
  return existsSync(report) ? countVitest(readJson(report), code) : verdict(code);
}

/** A file that cannot be loaded has no tests to fail: it counts as one. */
function countVitest({ numPassedTests, numFailedTests, testResults }, code) {
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  const skipped = testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName }) => `${path.relative(ROOT, name)}: ${fullName}`),
  );
  const failed = numFailedTests + broken.length;
  return { passed: numPassedTests, failed: Math.max(failed, code === 0 ? 0 : 1), skipped };
}

async function browserSuite(parts, runSuite) {
  if (findChromium()) return runSuite(parts);
  console.log(NO_BROWSER);
  return { passed: 0, failed: 0, skipped: parts.map((part) => `${part}: ${NO_BROWSER}`) };
}

async function host() {
  await built();
  const { runHostTests } = await import('./host-tests.mjs');
  try {
    const results = await runHostTests();
    const titles = (state) =>
      results.filter((result) => result.state === state).map(({ title }) => title);
    return {
      passed: titles('passed').length,
      failed: titles('failed').length,
      skipped: titles('skipped'),
    };
  } catch (error) {
    console.error(error);
    return verdict(1);
  }
}

const endToEnd = (folder) =>
  existsSync(path.join(ROOT, folder))
    ? readdirSync(path.join(ROOT, folder), { recursive: true })
        .filter((file) => file.endsWith('.e2e.mjs'))
        .sort()
        .map((file) => path.join(folder, file))
    : [];

/** Programs that use Node's own test runner, one after the other. */
async function programs(files) {
  await built();
  const counts = [];
  for (const file of files) counts.push(await program(file));
  return {
    passed: counts.reduce((sum, { passed }) => sum + passed, 0),
    failed: counts.reduce((sum, { failed }) => sum + failed, 0),
    skipped: counts.flatMap(({ skipped }) => skipped),
  };
}

async function program(file) {
  mkdirSync(OUT, { recursive: true });
  const report = path.join(OUT, `${path.basename(file)}.tap`);
  rmSync(report, { force: true });
  console.log(file);
  const reporters = [
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...['--test-reporter=tap', `--test-reporter-destination=${report}`],
  ];
  const child = start(process.execPath, [...reporters, file], { cwd: ROOT, stdio: 'inherit' });
  const timer = setTimeout(() => void stop(child), MOST_MS);
  const code = await exitCode(child);
  clearTimeout(timer);
  return existsSync(report) ? countTap(readFileSync(report, 'utf8'), code, file) : verdict(code);
}

/** A program that ended badly failed, whatever it had reported until then. */
function countTap(tap, code, file) {
  const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0);
  const skips = [...tap.matchAll(/^\s*ok \d+ - (.* # (?:SKIP|TODO).*)$/gm)];
  return {
    passed: count('pass'),
    failed: Math.max(count('fail') + count('cancelled'), code === 0 ? 0 : 1),
    skipped: skips.map(([, title]) => `${file}: ${title}`),
  };
}

async function build() {
  try {
    await built();
    return verdict(0);
  } catch {
    return verdict(1); // the bundler has said why
  }
}

/** Builds once, whichever suite asks first. */
function built() {
  building ??= import('../build.mjs').then((module) => module.build({ tests: true }));
  return building;
}
let building;
