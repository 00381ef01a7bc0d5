/**
 * `node scripts/fit.mjs FOLDER [TARGET…]`: fits bundled profiles again to published measurements, and prints which constants
 * and errors differ from the files; `--write` puts them there. The tables and networks are not in the project. FOLDER holds
 *
 *     published/TABLE.csv          model, input, device, unit, precision, framework, latency_ms
 *     published/nets-of-rows.csv   file, model, input, net: which network a row of a table measured
 *     nets/NET                     the networks, ONNX; their weights are not read
 *
 * Boards of ncnn's benchmark: `calibrate` from the generic profile of their kind, whose ratios are kept. The ZCU102's overlay:
 * the start of a layer and the two bandwidths, by the least sum of squared relative errors. Errors are of networks that were
 * left out. The ratios of the generic profiles, the Pixel 3 and the NPUs of phones are not fitted here.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { parseDocument } from 'yaml';
import { OUT, ROOT } from './lib/project.mjs';

const TARGETS = path.join(ROOT, 'templates/targets');
const fileOf = (id) => path.join(TARGETS, `${id}.target.yaml`);

const board = (id, device, framework) => ({ id, device, framework, fit: fitBoard });
const cpu = (id, device, threads, cores = 0) =>
  board(`mobile.${id}-cpu`, device, `ncnn (${threads} threads, powersave ${cores})`);
const gpu = (id, device, cores = 0) =>
  board(`mobile.${id}-gpu`, device, `ncnn (vulkan, powersave ${cores})`);
const KNOWN = [
  { id: 'fpga.zcu102-dpu', fit: fitOverlay },
  gpu('adreno-620', 'Qualcomm SDM765G', 2),
  gpu('adreno-640', 'Qualcomm SM8150-AC', 2),
  cpu('amlogic-a311d', 'Khadas VIM3', 4, 2),
  gpu('amlogic-a311d', 'Khadas VIM3', 2),
  cpu('jetson-nano', 'NVIDIA Jetson Nano', 4),
  gpu('jetson-nano', 'NVIDIA Jetson Nano'),
  gpu('jetson-tx2', 'NVIDIA Jetson TX2 NX'),
  cpu('kirin970', 'Kirin 970', 4, 2),
  cpu('raspberry-pi-3', 'Raspberry Pi 3 Model B+', 4),
  cpu('raspberry-pi-4', 'Raspberry Pi 4 Model B', 4),
  cpu('raspberry-pi-5', 'Raspberry Pi 5 Broadcom BCM2712, Cortex-A76', 4),
  cpu('raspberry-pi-zero-2', 'Raspberry Pi Zero 2 W', 4),
  cpu('rk3399', 'Rockchip RK3399', 2, 2),
  cpu('rk3568', 'Station P2', 4),
  cpu('rk3588', 'Rockchip RK3588 (Quad Core', 8),
  cpu('snapdragon-835', 'Qualcomm MSM8998', 4, 2),
  cpu('snapdragon-855', 'Qualcomm SM8150-AC', 4, 2),
  gpu('videocore-vii', 'Raspberry Pi 5 Broadcom BCM2712, VideoCore VII'),
];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const [folder, ...wanted] = positionals;
if (folder === undefined)
  fail('the folder of tables and networks is missing: node scripts/fit.mjs FOLDER');
const unknown = wanted.filter((id) => KNOWN.every((known) => known.id !== id));
if (unknown.length)
  fail(`${unknown.join(', ')}: known are ${KNOWN.map(({ id }) => id).join(', ')}`);

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** What the fit takes of the project, as it stands. */
async function bundledLanguage() {
  const outfile = path.join(OUT, 'fit/language.mjs');
  const contents = [
    "export { calibrate } from './language/cost/calibrate';",
    "export { estimate } from './language/cost/estimate';",
    "export { errorOf, rounded } from './language/cost/heldOut';",
    "export { resolveTarget } from './language/cost/targets';",
    "export { bindModel, openModel } from './language/recipe/opened';",
  ].join('\n');
  await build({
    stdin: { contents, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    external: ['onnxruntime-node'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return import(pathToFileURL(outfile).href);
}

// ---- tables

function table(name) {
  const file = path.join(folder, 'published', name);
  if (!existsSync(file)) fail(`${file} is missing: what is fitted to it cannot be fitted`);
  const [head, ...rows] = readFileSync(file, 'utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter(Boolean)
    .map(cellsOf);
  return rows.map((cells) => Object.fromEntries(head.map((column, i) => [column, cells[i] ?? ''])));
}

/** Cells in quotes may hold commas. */
const cellsOf = (line) =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain,
  );

function networksOfRows() {
  const nets = new Map(
    table('nets-of-rows.csv').map((row) => [`${row.file}|${row.model}|${row.input}`, row.net]),
  );
  return (name, { model, input }) => nets.get(`${name}|${model}|${input}`);
}

/** Rows of a table whose network is known: the fastest where one was measured several times. */
function measurements(name, isMeant, onlyFastest) {
  const found = table(name)
    .filter((row) => Number(row.latency_ms) > 0 && isMeant(row))
    .flatMap((row) => {
      const net = networkOf(name, row);
      if (net === undefined) return [];
      const latencyMs = Number(row.latency_ms);
      return [{ name: net, network: net, where: name, latencyMs, ...networkAt(net) }];
    });
  if (!onlyFastest) return found;
  const sorted = [...found].sort((a, b) => b.latencyMs - a.latencyMs);
  return [...new Map(sorted.map((one) => [one.network, one])).values()];
}

function networkAt(net) {
  if (!opened.has(net)) {
    const file = path.join(folder, 'nets', net);
    if (!existsSync(file)) fail(`${file} is missing: a table has measurements of it`);
    const { graph, facts } = language.bindModel(language.openModel(file), {});
    opened.set(net, { graph, facts });
  }
  return opened.get(net);
}

// ---- fits: constants by their place in the profile, and held-out errors

const PRECISIONS = [
  { rows: 'fp32/fp16-auto', rates: 'fp32', as: undefined, of: 'floating point' },
  { rows: 'int8', rates: 'int8', as: 'int8', of: 'int8' },
];

function fitBoard({ id, device, framework }) {
  const unit = id.endsWith('-gpu') ? 'gpu' : 'cpu';
  const prior = language.resolveTarget(`mobile.generic-${unit}`, TARGETS);
  const stated = language.resolveTarget(id, TARGETS).basis.errors;
  const constants = [];
  const errors = [];
  for (const { rows, rates, as, of } of PRECISIONS) {
    const position = stated.findIndex(({ precision }) => precision === rates);
    if (position < 0) continue;
    const isMeant = (row) =>
      row.device.startsWith(device) && row.framework === framework && row.precision === rows;
    const found = measurements('ncnn_benchmark.csv', isMeant, true);
    const { profile } = language.calibrate(prior, found, as);
    for (const [name, value] of Object.entries(profile.precisions[rates]))
      constants.push({ at: ['precisions', rates, name], value });
    const [error] = profile.basis.errors;
    errors.push({
      position,
      error: { ...error, of: `${of}, scales fitted without the network, ratios with it` },
    });
  }
  return { constants, errors };
}

const OVERLAY = ['perLayerCycles', 'activationBytesPerCycle', 'weightBytesPerCycle'];

function fitOverlay({ id }) {
  const given = language.resolveTarget(id, TARGETS);
  const isMeant = ({ device, framework, model }) =>
    device.includes('ZCU102') &&
    framework.includes('single thread') &&
    // The table itself doubts these rows.
    !model.startsWith('cf\\_inceptionv3');
  const rows = measurements('fpga_vitis_ai.csv', isMeant, false);
  const withLogs = (logs) => ({
    ...given,
    overlay: {
      ...given.overlay,
      ...Object.fromEntries(OVERLAY.map((name, i) => [name, Math.exp(logs[i])])),
    },
  });
  const predicted = (logs, of) => {
    const profile = withLogs(logs);
    const known = new Map();
    return of.map(({ network, graph, facts }) => {
      if (!known.has(network))
        known.set(network, language.estimate(graph, facts, profile).total.latencyMs);
      return known.get(network);
    });
  };
  const fitTo = (some, start) =>
    descend(start, (logs) =>
      predicted(logs, some).reduce((sum, ms, i) => sum + (ms / some[i].latencyMs - 1) ** 2, 0),
    );
  const start = OVERLAY.map((name) => Math.log(given.overlay[name]));
  const best = fitTo(rows, start);
  const heldOut = [...new Set(rows.map(({ network }) => network))].flatMap((network) => {
    const logs = fitTo(
      rows.filter((row) => row.network !== network),
      best,
    );
    const own = rows.filter((row) => row.network === network);
    return predicted(logs, own).map((predictedMs, i) => ({
      name: network,
      measuredMs: own[i].latencyMs,
      predictedMs,
      fittedMs: predictedMs,
    }));
  });
  return {
    constants: OVERLAY.map((name, i) => ({
      at: ['overlay', name],
      value: rounded(Math.exp(best[i])),
    })),
    errors: [{ position: 0, error: language.errorOf(heldOut, 'one network left out at a time') }],
  };
}

/** Along one logarithm after the other, in steps that halve: the optimum is flat, and three numbers need no more. */
function descend(start, loss) {
  let best = { logs: start, loss: loss(start) };
  for (let step = 0.16; step > 0.01;) {
    const better = start
      .flatMap((_, i) => [
        best.logs.with(i, best.logs[i] + step),
        best.logs.with(i, best.logs[i] - step),
      ])
      .map((logs) => ({ logs, loss: loss(logs) }))
      .reduce((a, b) => (b.loss < a.loss ? b : a), best);
    if (better === best) step /= 2;
    best = better;
  }
  return best.logs;
}

// ---- what differs

const rounded = (value) => Number(value.toPrecision(4));
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function report(id, constants, errors) {
  const document = parseDocument(readFileSync(fileOf(id), 'utf8'));
  const differing = constants
    .map(({ at, value }) => ({ at, is: document.getIn(at), fitted: rounded(value) }))
    .filter(({ is, fitted }) => is !== fitted);
  const most = Math.max(0, ...differing.map(({ is, fitted }) => Math.abs(fitted / is - 1)));
  console.log(
    `${id}: ${differing.length} of ${constants.length} constants differ, by ${percent(most)} at most`,
  );
  for (const { at, is, fitted } of differing) {
    console.log(`  ${at.join('.')}: ${is} in the file, ${fitted} fitted`);
    document.setIn(at, fitted);
  }
  for (const { position, error } of errors) {
    const at = ['basis', 'errors', position];
    const told = (of) =>
      `mean ${percent(of.meanError)}, median ${percent(of.medianError)}, rank correlation ${of.rankCorrelation.toFixed(3)}, ${of.rows} rows`;
    console.log(`  ${error.of}: ${told(error)}; in the file ${told(document.getIn(at).toJSON())}`);
    for (const name of [
      'rows',
      'meanError',
      'medianError',
      'lowError',
      'highError',
      'rankCorrelation',
    ])
      document.setIn([...at, name], Number(error[name].toFixed(3)));
  }
  if (options.write)
    writeFileSync(fileOf(id), document.toString({ lineWidth: 120, flowCollectionPadding: false }));
}

// ---- the run

const language = await bundledLanguage();
const networkOf = networksOfRows();
const opened = new Map();
for (const known of KNOWN.filter(({ id }) => wanted.length === 0 || wanted.includes(id))) {
  const { constants, errors } = known.fit(known);
  report(known.id, constants, errors);
}
