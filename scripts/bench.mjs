/**
 * `npm run bench`: runs the benchmarks of `test/bench` and prints one table; `npm run bench -- layout large` runs some,
 * `--json FILE` keeps the figures.
 *
 * A benchmark is a file `test/bench/NAME.bench.ts` (or `.mjs`) whose default export is a function
 *
 *     (bench) => rows, or a promise of them; a row is { name, value, unit, bar?, note? }
 *
 * `bar` is the largest value that is good enough; a row above it fails the run. `bench` has
 *     scratch    an empty folder of this benchmark, deleted afterwards
 *     cli(args)  runs the built command line: { cpuSeconds, peakMiB, seconds, stdout }
 *     idle()     the same of a Node process that does nothing
 *     best(n, measure)  the measurement with the least CPU of n, since other work on the machine only ever adds
 * Each runs in a process of its own, so that none warms up or fills the memory of another. What a benchmark needs that is
 * not in the project it makes itself, or it answers no rows.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { DIST, ROOT } from './lib/project.mjs';

const FOLDER = path.join(ROOT, 'test/bench');
const USAGE = pathToFileURL(path.join(FOLDER, 'lib/usage.mjs')).href;
const SUFFIX = /\.bench\.(ts|mjs)$/;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, one: { type: 'string' }, rows: { type: 'string' } },
});

async function runAll(names) {
  const { build } = await import('./build.mjs');
  await build();
  const files = readdirSync(FOLDER)
    .filter((file) => SUFFIX.test(file))
    .filter((file) => names.length === 0 || names.includes(file.replace(SUFFIX, '')));
  const modules = await bundle(files);
  const table = [];
  let failed = false;
  for (const [name, module] of modules) {
    const rows = path.join(DIST, 'bench', `${name}.json`);
    const run = spawnSync(
      process.execPath,
      [import.meta.filename, '--one', module, '--rows', rows],
      {
        cwd: ROOT,
        stdio: 'inherit',
      },
    );
    if (run.status !== 0) failed = true;
    else
      for (const row of JSON.parse(readFileSync(rows, 'utf8'))) table.push({ bench: name, ...row });
  }
  const [processor] = cpus();
  console.log(
    `Node ${process.version}, ${cpus().length} × ${processor?.model ?? 'unknown processor'}`,
  );
  print(table);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(table, null, 1)}\n`);
  return failed || table.some(isOver) ? 1 : 0;
}

/** The benchmarks as modules that Node runs, by name. */
async function bundle(files) {
  const esbuild = await import('esbuild');
  const outdir = path.join(DIST, 'bench');
  mkdirSync(outdir, { recursive: true });
  await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: files.map((file) => ({
      in: path.join(FOLDER, file),
      out: file.replace(SUFFIX, ''),
    })),
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'warning',
  });
  return files.map((file) => {
    const name = file.replace(SUFFIX, '');
    return [name, path.join(outdir, `${name}.mjs`)];
  });
}

async function runOne(module, rowsFile) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'whittle-bench-'));
  try {
    const { default: run } = await import(pathToFileURL(module).href);
    const rows = await run({ scratch, cli: (args) => cost([CLI, ...args]), idle, best });
    // A benchmark of the build itself clears what was built.
    mkdirSync(path.dirname(rowsFile), { recursive: true });
    writeFileSync(rowsFile, JSON.stringify(rows));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const CLI = path.join(DIST, 'cli.mjs');
const idle = () => cost(['-e', '0']);

/** What a Node process costs: CPU time of all its threads, the most memory that it held. */
function cost(args) {
  const file = path.join(tmpdir(), `whittle-usage-${process.pid}.json`);
  const started = performance.now();
  const run = spawnSync(process.execPath, ['--import', USAGE, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    env: { ...process.env, WHITTLE_USAGE: file },
  });
  const seconds = (performance.now() - started) / 1000;
  if (run.status !== 0) throw new Error(`${args.join(' ')}: ${run.stderr || run.signal}`);
  const usage = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  return { ...usage, seconds, stdout: run.stdout };
}

function best(times, measure) {
  const runs = Array.from({ length: times }, measure);
  return runs.reduce((a, b) => (b.cpuSeconds < a.cpuSeconds ? b : a));
}

const isOver = ({ value, bar }) => bar !== undefined && value > bar;

function print(table) {
  const cells = table.map((row) => [
    row.bench,
    row.name,
    `${format(row.value)} ${row.unit}`,
    row.bar === undefined ? '' : `≤ ${row.bar}${isOver(row) ? ' OVER' : ''}`,
    row.note ?? '',
  ]);
  const rows = [['benchmark', 'what', 'measured', 'bar', ''], ...cells];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
}

const format = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

if (options.one) await runOne(options.one, options.rows);
else process.exitCode = await runAll(positionals);
