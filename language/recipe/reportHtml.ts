/** A report as one HTML file that needs nothing else: no script, no font, no address. */
import path from 'node:path';
import { MADE_UP_INPUTS, type LayerReport, type Report } from '../protocol';
import { badge, escape, table } from './htmlPieces';
import { ROOFLINE_STYLE, rooflineSections } from './reportRoofline';
import {
  bytes,
  changeText,
  isOverBudget,
  ms,
  relative,
  reportRemarks,
  reportRows,
  whole,
} from './reportTable';

export function reportHtml(report: Report): string {
  const { model, recipe, output, createdAt, environment, measured } = report;
  const title = `${path.basename(model.path)} by ${path.basename(recipe.path) || 'an untitled recipe'}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>
<style>${STYLE}${ROOFLINE_STYLE}</style>
</head>
<body>
<h1>${escape(title)}</h1>
<p class="quiet">${escape(createdAt)}</p>
${remarks(report)}
<h2>Numbers</h2>
${table(
  ['', 'Before', 'After', 'Change', 'Kind'],
  reportRows(report).map(({ name, before, after, change, kind }) => [
    escape(name),
    escape(before),
    escape(after),
    escape(change),
    badge(kind),
  ]),
)}
<p class="quiet">${escape(measured.conditions)}</p>
${after(report)}
${stepTable(report)}
${outputTable(report)}
${waterfalls(report)}
${chart(report)}
${(report.rooflines ?? []).map(rooflineSections).join('\n')}
${layerTable(report)}
<h2>Files and environment</h2>
${table(
  ['', 'Path', 'Size', 'SHA-256'],
  Object.entries({ Model: model, Recipe: recipe, Result: output }).map(([name, file]) => [
    name,
    escape(file.path),
    bytes(file.bytes),
    `<code>${escape(file.sha256)}</code>`,
  ]),
)}
${table(
  ['', ''],
  Object.entries(environment).map(([name, value]) => [escape(name), escape(value)]),
)}
</body>
</html>
`;
}

function remarks(report: Report): string {
  const over = isOverBudget(report);
  const list = reportRemarks(report).map((text) => `<li>${escape(text)}</li>`);
  return list.length ? `<ul class="${over ? 'bad' : 'good'}">${list.join('')}</ul>` : '';
}

/** What the modelled numbers rest on. */
function after({ after: { targets } }: Report): string {
  return targets
    .map(({ title, basis }) => `<p class="quiet">${escape(title)}: ${escape(basis)}</p>`)
    .join('\n');
}

function stepTable({ steps, after: { targets } }: Report): string {
  if (steps.length === 0) return '';
  const rows = steps.map(
    ({ title, pass, sites, skipped, seconds, latencyMs, operatorSet, guard, rolledBack }) => [
      `${escape(title)} <code>${escape(pass)}</code>${rolledBack ? ' <b>rolled back</b>' : guard?.dropped ? ' <b>left out</b>' : ''}${operatorSet ? ` (operator set ${operatorSet.before} raised to ${operatorSet.after} first)` : ''}`,
      String(sites),
      String(skipped.length),
      `${seconds.toFixed(1)} s`,
      ...targets.map(({ id }) => changeText(latencyMs[id], ms)),
    ],
  );
  const heads = targets.map(({ title }) => `Latency, ${escape(title)} ${badge('modelled')}`);
  return `<h2>Steps</h2>${calibrationNotes(steps)}${table(['Step', 'Sites', 'Skipped', 'Took', ...heads], rows)}`;
}

function calibrationNotes(steps: Report['steps']): string {
  const madeUp = steps.filter(({ calibration }) => calibration === MADE_UP_INPUTS);
  if (madeUp.length === 0) return '';
  const notes = madeUp.map(
    ({ title }) => `<li>${escape(title)} found its ranges on made-up inputs.</li>`,
  );
  return `<ul class="bad">${notes.join('')}</ul>`;
}

const MADE_UP =
  '<ul class="bad"><li>The inputs were made up: how near the answers are on real ones is not known.</li></ul>';

function outputTable({ fidelity: { outputs, data, samples } }: Report): string {
  if (outputs.length === 0) return '';
  const rows = outputs.map(({ name, sqnrDb, cosine, maxAbs }) => [
    escape(name),
    sqnrDb === null ? (maxAbs === 0 ? 'equal' : '–') : `${sqnrDb.toFixed(1)} dB`,
    cosine?.toFixed(5) ?? '–',
    maxAbs?.toPrecision(4) ?? '–',
  ]);
  return `<h2>Outputs against the original ${badge('measured')}</h2>
<p class="quiet">${samples} samples of ${escape(data)}</p>
${data === MADE_UP_INPUTS ? MADE_UP : ''}
${table(['Output', 'SQNR', 'Cosine', 'Largest difference'], rows)}`;
}

// ---- steps

const BAR = { width: 720, label: 300, words: 110, height: 22 } as const;
const STEP_HEIGHT = 26;

/** Latency from before to after, by each step that was kept, on each target. */
function waterfalls(report: Report): string {
  return report.after.targets.map((target) => waterfall(report, target)).join('\n');
}

type Target = Report['after']['targets'][number];

function waterfall({ before, steps }: Report, { id, title, latencyMs }: Target): string {
  const start = before.targets.find((target) => target.id === id)?.latencyMs;
  if (start === undefined || steps.length === 0) return '';
  const bars = [
    { name: 'Before', from: 0, to: start, look: 'before' },
    ...steps.flatMap(({ title: name, latencyMs: changes, guard, rolledBack }) => {
      if (guard?.dropped || rolledBack) return [];
      const { before: from = null, after: to = null } = changes[id] ?? {};
      if (from === null || to === null) return [];
      return [{ name, from, to, look: to > from ? 'loss' : 'gain' }];
    }),
    { name: 'After', from: 0, to: latencyMs, look: 'after' },
  ];
  const most = Math.max(...bars.flatMap(({ from, to }) => [from, to]));
  if (most <= 0) return '';
  const room = BAR.width - BAR.label - BAR.words;
  const drawn = bars.map(({ name, from, to, look }, i) => {
    const y = i * STEP_HEIGHT;
    const [x, width] = [Math.min(from, to), Math.abs(to - from)].map((v) => (v / most) * room);
    const words = look === 'before' || look === 'after' ? ms(to) : relative(from, to) || '±0 %';
    return `<g><title>${escape(`${name}: ${ms(from)} → ${ms(to)}`)}</title>
<text x="${BAR.label - 8}" y="${y + 17}" text-anchor="end">${escape(shortened(name))}</text>
<rect class="${look}" x="${(BAR.label + x!).toFixed(1)}" y="${y + 4}" width="${Math.max(1, width!).toFixed(1)}" height="18"/>
<text x="${(BAR.label + x! + width! + 6).toFixed(1)}" y="${y + 17}">${escape(words)}</text></g>`;
  });
  return `<h2>From before to after, ${escape(title)} ${badge('modelled')}</h2>
<svg role="img" aria-label="Latency from before to after, step by step" viewBox="0 0 ${BAR.width} ${bars.length * STEP_HEIGHT}" width="${BAR.width}">${drawn.join('\n')}</svg>`;
}

// ---- layers

const CHARTED = 25;

/** Bars of the layers that took longest, before above after. */
function chart({ layers, after: { targets } }: Report): string {
  const [target] = targets;
  if (!target) return '';
  const latency = ({ latencyMs }: LayerReport) => latencyMs[target.id];
  const most = (layer: LayerReport) =>
    Math.max(latency(layer)?.before ?? 0, latency(layer)?.after ?? 0);
  const shown = layers
    .filter((layer) => most(layer) > 0)
    .sort((a, b) => most(b) - most(a))
    .slice(0, CHARTED);
  const [first] = shown;
  if (!first) return '';
  const room = BAR.width - BAR.label;
  const length = (value: number | null | undefined) =>
    (((value ?? 0) / most(first)) * room).toFixed(1);
  const bars = shown.map((layer, i) => {
    const y = i * BAR.height;
    const change = latency(layer);
    const text = `${layer.name}: ${changeText(change, ms)}`;
    return `<g><title>${escape(text)}</title>
<text x="${BAR.label - 8}" y="${y + 15}" text-anchor="end">${escape(shortened(layer.name))}</text>
<rect class="before" x="${BAR.label}" y="${y + 3}" width="${length(change?.before)}" height="7"/>
<rect class="after" x="${BAR.label}" y="${y + 11}" width="${length(change?.after)}" height="7"/></g>`;
  });
  return `<h2>Latency by layer, ${escape(target.title)} ${badge('modelled')}</h2>
<p class="quiet"><span class="key before"></span> before <span class="key after"></span> after</p>
<svg role="img" aria-label="Latency of the slowest layers before and after" viewBox="0 0 ${BAR.width} ${shown.length * BAR.height}" width="${BAR.width}">${bars.join('\n')}</svg>`;
}

const MOST_LABEL = 42;
const shortened = (name: string): string =>
  name.length > MOST_LABEL ? `…${name.slice(1 - MOST_LABEL)}` : name;

function layerTable({ layers, after: { targets } }: Report): string {
  const rows = layers.map(({ name, op, macs, weightBytes, latencyMs }) => [
    escape(name),
    escape(op),
    changeText(macs, whole),
    changeText(weightBytes, bytes),
    ...targets.map(({ id }) => changeText(latencyMs[id], ms)),
  ]);
  const heads = targets.map(({ title }) => `Latency, ${escape(title)} ${badge('modelled')}`);
  const exact = badge('exact');
  return `<h2>Layers</h2><details><summary>${layers.length} layers</summary>
${table(['Layer', 'Operator', `MACs ${exact}`, `Weights ${exact}`, ...heads], rows)}</details>`;
}

const STYLE = `
:root { color-scheme: light dark; --quiet: #666; --line: #8883; --before: #999; --after: #2a7de1; --gain: #2a9d4a; --loss: #d1432f; }
@media (prefers-color-scheme: dark) { :root { --quiet: #aaa; --after: #5aa0f2; } }
body { font: 14px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); margin: .2rem 0; }
ul { border-left: 3px solid #2a9d4a; padding: .4rem .4rem .4rem 1.6rem; } ul.bad { border-color: #d1432f; }
.kind { font-size: .75rem; font-weight: normal; border: 1px solid var(--line); border-radius: 3px; padding: 0 .3rem; }
svg { max-width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
.before { fill: var(--before); background: var(--before); } .after { fill: var(--after); background: var(--after); }
.gain { fill: var(--gain); } .loss { fill: var(--loss); }
.key { display: inline-block; width: .8rem; height: .8rem; }
`;
