/** The roofline of a report: a chart that needs no script, the same as a table, and totals by kind of layer. */
import { BOUNDS, markOf } from '../drawing/marks';
import { extent, logAxis, spread, type Axis } from '../drawing/scale';
import type { TargetRoofline } from '../protocol';
import { badge, escape, table } from './htmlPieces';
import { changeText, ms } from './reportTable';

type Layer = TargetRoofline['layers'][number];

const WIDTH = 760;
const HEIGHT = 320;
const LEFT = 52;
/** Where the plot ends and the names of the flat roofs begin. */
const RIGHT = 520;
const TOP = 12;
const BOTTOM = HEIGHT - 40;
const LABEL_GAP = 15;
const MOST_RADIUS = 11;
const LEAST_RADIUS = 3;
const WAS_RADIUS = 3.5;
/** More would cover each other. */
const CHARTED = 150;

export function rooflineSections(roofline: TargetRoofline): string {
  const { title, none, layers } = roofline;
  const target = escape(title);
  const chart = none
    ? `<p class="quiet">${escape(none)}</p>`
    : layers.length > 0
      ? `${legend(layers)}\n${drawing(roofline)}\n${layerTable(layers)}`
      : '<p class="quiet">No layer multiplies.</p>';
  return `<h2>Roofline, ${target} ${badge('modelled')}</h2>
${chart}
<h2>Kinds of layers, ${target} ${badge('modelled')}</h2>
${familyTable(roofline)}`;
}

// ---- chart

function drawing(roofline: TargetRoofline): string {
  const layers = roofline.layers.slice(0, CHARTED);
  const { intensities, rates } = extent(roofline, layers);
  const x = logAxis(intensities, LEFT, RIGHT);
  const y = logAxis(rates, BOTTOM, TOP);
  const [dearest] = layers;
  const words = `${layers.length} layers with products by multiply-accumulates per byte and per second, under the roofs of ${roofline.title}; the table below says the same. The dearest is ${layerWords(dearest!)}`;
  return `<svg class="roofline" role="img" aria-label="${escape(words)}" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}">
<clipPath id="${plotId(roofline)}"><rect x="${LEFT}" y="0" width="${RIGHT - LEFT}" height="${BOTTOM}"/></clipPath>
${axes(x, y)}
<g clip-path="url(#${plotId(roofline)})">${roofs(roofline, x, y)}</g>
${roofNames(roofline, y)}
${layers.map((layer) => dots(layer, dearest!.share, x, y)).join('\n')}
</svg>`;
}

const plotId = ({ target }: TargetRoofline): string => `plot-${escape(target)}`;

const px = (pixels: number): string => pixels.toFixed(1);

/** A power of ten, or twice or five times one, without the noise of binary fractions. */
const tickText = (tick: number): string => String(Number(tick.toPrecision(3)));

function axes(x: Axis, y: Axis): string {
  const across = x.ticks.map((tick) => {
    const at = px(x.at(tick));
    return `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${BOTTOM}"/><text x="${at}" y="${BOTTOM + 14}" text-anchor="middle">${tickText(tick)}</text>`;
  });
  const up = y.ticks.map((tick) => {
    const at = y.at(tick);
    return `<line x1="${LEFT}" x2="${RIGHT}" y1="${px(at)}" y2="${px(at)}"/><text x="${LEFT - 6}" y="${px(at + 4)}" text-anchor="end">${tickText(tick)}</text>`;
  });
  const middle = (TOP + BOTTOM) / 2;
  return `<g class="axes">${[...across, ...up].join('')}<path d="M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}"/></g>
<text x="${(LEFT + RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">multiply-accumulates per byte</text>
<text transform="translate(12 ${middle}) rotate(-90)" text-anchor="middle">GMAC/s</text>`;
}

/** Slopes end at the highest roof, flat roofs begin at the steepest slope. */
function roofs({ compute, memory }: TargetRoofline, x: Axis, y: Axis): string {
  const top = compute[0]?.gmacPerS ?? y.max;
  const steepest = memory[0]?.gbPerS;
  const flat = compute.map(({ gmacPerS }) => {
    const from = steepest === undefined ? x.min : Math.max(x.min, gmacPerS / steepest);
    const at = px(y.at(gmacPerS));
    return `<line class="roof" x1="${px(x.at(from))}" x2="${px(x.at(x.max))}" y1="${at}" y2="${at}"/>`;
  });
  const slopes = memory.map(({ name, gbPerS }) => {
    const [foot, head] = [Math.max(x.min, y.min / gbPerS), Math.min(x.max, top / gbPerS)];
    const ends = `x1="${px(x.at(foot))}" y1="${px(y.at(foot * gbPerS))}" x2="${px(x.at(head))}" y2="${px(y.at(head * gbPerS))}"`;
    return `<line class="roof slope" ${ends}><title>${escape(slopeWords(name, gbPerS))}</title></line>`;
  });
  return [...flat, ...slopes].join('');
}

const slopeWords = (name: string, gbPerS: number): string => `${name} ${plain(gbPerS)} GB/s`;

/** Beside the plot: the flat roofs at their heights, and what the slopes are below them. */
function roofNames({ compute, memory }: TargetRoofline, y: Axis): string {
  const wanted = compute.map(({ gmacPerS }) => y.at(gmacPerS));
  const tops = spread(wanted, LABEL_GAP, BOTTOM - LABEL_GAP * (memory.length + 1));
  const flat = compute.map(
    ({ name, gmacPerS }, i) =>
      `<path class="leader" d="M${RIGHT} ${px(wanted[i]!)}L${RIGHT + 10} ${px(tops[i]!)}"/><text x="${RIGHT + 14}" y="${px(tops[i]! + 4)}">${escape(shortened(`${plain(gmacPerS)} ${name}`))}<title>${escape(`${name}: ${plain(gmacPerS)} GMAC/s`)}</title></text>`,
  );
  const slopes = memory.map(
    ({ name, gbPerS }, i) =>
      `<text x="${RIGHT + 14}" y="${BOTTOM - LABEL_GAP * (memory.length - 1 - i)}">╱ ${escape(shortened(slopeWords(name, gbPerS)))}</text>`,
  );
  return [...flat, ...slopes].join('');
}

const MOST_LETTERS = 32;
const shortened = (name: string): string =>
  name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS - 1)}…` : name;

/** Where a layer stands, as large as its share of the time, and hollow where it stood. */
function dots(layer: Layer, largest: number, x: Axis, y: Axis): string {
  const { at, before, bound, share } = layer;
  const radius = Math.max(LEAST_RADIUS, MOST_RADIUS * Math.sqrt(share / largest));
  const { path, className } = markOf(bound);
  const mark = (place: Layer['at'], size: number, look: string) =>
    `<path class="mark ${className}${look}" d="${path}" transform="translate(${px(x.at(place.macsPerByte))} ${px(y.at(place.gmacPerS))}) scale(${px(size)})" vector-effect="non-scaling-stroke"/>`;
  const way = before
    ? `<line class="way" x1="${px(x.at(before.macsPerByte))}" y1="${px(y.at(before.gmacPerS))}" x2="${px(x.at(at.macsPerByte))}" y2="${px(y.at(at.gmacPerS))}"/>${mark(before, WAS_RADIUS, ' was')}`
    : '';
  return `<g><title>${escape(layerWords(layer))}</title>${way}${mark(at, radius, '')}</g>`;
}

function legend(layers: readonly Layer[]): string {
  const bounds = new Set(layers.map(({ bound }) => bound));
  const shown = [...BOUNDS.filter((bound) => bounds.has(bound)), ...bounds].filter(
    (bound, i, all) => all.indexOf(bound) === i,
  );
  const keys = shown.map((bound) => {
    const { path, className } = markOf(bound);
    return `<svg class="key-mark" width="14" height="12" viewBox="-7 -6 14 12" aria-hidden="true"><path class="mark ${className}" d="${path}" transform="scale(4.5)" vector-effect="non-scaling-stroke"/></svg> ${escape(bound)}`;
  });
  const left = layers.length - CHARTED;
  const note = left > 0 ? `; the ${left} that take least are left out of the chart` : '';
  return `<p class="quiet">Bound by ${keys.join(' ')}. The size is the share of the latency; hollow, where a layer stood before${note}.</p>`;
}

// ---- words

const plain = (value: number): string => String(Number(value.toPrecision(3)));
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const placeWords = ({ macsPerByte, gmacPerS }: Layer['at']): string =>
  `${plain(macsPerByte)} MAC/B, ${plain(gmacPerS)} GMAC/s`;

function layerWords({ node, op, at, before, bound, latencyMs, share }: Layer): string {
  const was = before ? `; before ${placeWords(before)}` : '';
  return `${node} (${op}): ${placeWords(at)}, ${ms(latencyMs)}, ${percent(share)}, bound by ${bound}${was}`;
}

function layerTable(layers: readonly Layer[]): string {
  const rows = layers.map(({ node, op, at, before, bound, latencyMs, share }) => [
    escape(node),
    escape(op),
    plain(at.macsPerByte),
    plain(at.gmacPerS),
    before ? placeWords(before) : '–',
    ms(latencyMs),
    percent(share),
    escape(bound),
  ]);
  const head = ['Layer', 'Operator', 'MAC/B', 'GMAC/s', 'Before', 'Latency', 'Share', 'Bound by'];
  return `<details><summary>${layers.length} layers with products</summary>
${table(head, rows)}</details>`;
}

function familyTable({ families, besideMs }: TargetRoofline): string {
  const rows = families.map(({ family, layers, latencyMs, share }) => [
    escape(family),
    String(layers),
    changeText(latencyMs, ms),
    percent(share),
  ]);
  const beside = [besideMs.before, besideMs.after].some((value) => (value ?? 0) > LEAST_MS)
    ? [['every run, transfers', '', changeText(besideMs, ms), '']]
    : [];
  return table(['Kind', 'Layers', 'Latency', 'Share'], [...rows, ...beside]);
}

/** Less than this is what adding up leaves over. */
const LEAST_MS = 1e-9;

/** Colours by what bounds a layer, in both themes; the shapes say the same. */
export const ROOFLINE_STYLE = `
.roofline .axes line { stroke: var(--line); } .roofline .axes path, .leader { fill: none; stroke: var(--quiet); }
.roof { stroke: currentColor; stroke-width: 1.5; } .slope { stroke-dasharray: 6 3; } .way { stroke: var(--quiet); }
.mark { fill: var(--mark); fill-opacity: .45; stroke: var(--mark); stroke-width: 1.2px; } .mark.was { fill: none; }
.mark-0 { --mark: #1a66c2; } .mark-1 { --mark: #8a6500; } .mark-2 { --mark: #7a3fb0; } .mark-3 { --mark: #1f7a3a; } .mark-other { --mark: var(--quiet); }
@media (prefers-color-scheme: dark) { .mark-0 { --mark: #6cb0ff; } .mark-1 { --mark: #e3b341; } .mark-2 { --mark: #c297ff; } .mark-3 { --mark: #5fd080; } }
.key-mark { vertical-align: -2px; }
`;
