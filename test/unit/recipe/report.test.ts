import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireBudget } from '../../../language/cli/command';
import type { Report } from '../../../language/protocol';
import { reportHtml } from '../../../language/recipe/reportHtml';
import { reportMarkdown } from '../../../language/recipe/reportMarkdown';
import { readReport, reportJsonSchema } from '../../../language/recipe/reportSchema';
import { isOverBudget, reportRows } from '../../../language/recipe/reportTable';
import { testFolder } from '../data/arrays';

const folder = testFolder();
const change = (before: number | null, after: number | null) => ({ before, after });
const model = (bytes: number, latencyMs: number) => ({
  fileBytes: bytes,
  macs: 1000,
  parameters: 100,
  weightBytes: 4 * bytes,
  targets: [
    {
      id: 'mobile.a',
      title: 'Phone <A>',
      basis: 'analytical',
      latencyMs,
      energyMj: null,
      partial: false,
    },
  ],
});
const file = (name: string) => ({ path: `/models/${name}`, bytes: 2048, sha256: 'f'.repeat(64) });

const report: Report = {
  version: 1,
  createdAt: '2026-01-02T03:04:05.000Z',
  model: file('net|work.onnx'),
  recipe: file('small.whittle.yaml'),
  output: file('network.small.onnx'),
  environment: { processor: 'a "fast" one' },
  steps: [
    {
      pass: 'prune.magnitude',
      title: 'Magnitude',
      sites: 3,
      skipped: [{ node: 'n', reason: 'it is small' }],
      seconds: 0.5,
      latencyMs: { 'mobile.a': change(4, 3.99) },
      guard: {
        gain: 0.0025,
        minGain: 0.02,
        kind: 'modelled',
        on: 'mobile.a',
        pays: false,
        dropped: true,
      },
    },
  ],
  before: model(4096, 4),
  after: model(1024, 3),
  fidelity: {
    data: 'eval.npz',
    samples: 10,
    outputs: [{ name: 'logits', sqnrDb: 31.25, cosine: 0.9996, maxAbs: 0.1 }],
    metric: { id: 'top1', before: 0.9, after: 0.89, samples: 10 },
    drop: 0.0111,
  },
  measured: { beforeMs: 2, afterMs: 1, conditions: 'one thread', verdict: '2.00× as fast' },
  layers: [
    {
      name: '<conv>',
      op: 'Conv',
      macs: change(1000, 1000),
      weightBytes: change(16384, 4096),
      latencyMs: { 'mobile.a': change(4, 3) },
    },
  ],
  kinds: { '*.macs': 'exact' },
  checks: { loads: true, kernels: { Conv: 1 }, unfused: [{ node: '<conv>', kernel: 'Conv' }] },
  budget: [
    { what: 'latency', target: 'mobile.a', limit: 3.5, actual: 3, kind: 'modelled', kept: true },
    { what: 'drop', limit: 0.01, actual: 0.0111, kind: 'measured', kept: false },
  ],
  rooflines: [
    {
      target: 'mobile.a',
      title: 'Phone <A>',
      none: null,
      compute: [
        { name: '3×3 <convolution>', gmacPerS: 80 },
        { name: '1×1 convolution', gmacPerS: 79 },
      ],
      memory: [{ name: 'weights', gbPerS: 4 }],
      layers: [
        {
          node: '<conv>',
          op: 'Conv',
          bound: 'weight bandwidth',
          latencyMs: 2,
          share: 2 / 3,
          at: { macsPerByte: 12, gmacPerS: 40 },
          before: { macsPerByte: 4, gmacPerS: 30 },
        },
        {
          node: 'fc',
          op: 'Gemm',
          bound: 'hidden',
          latencyMs: 0.5,
          share: 1 / 6,
          at: { macsPerByte: 0.25, gmacPerS: 1 },
          before: null,
        },
      ],
      families: [
        {
          family: 'convolution',
          layers: 1,
          latencyMs: change(3, 2),
          macs: change(1000, 1000),
          share: 2 / 3,
        },
      ],
      besideMs: change(0.5, 0.5),
    },
  ],
};

describe('a report', () => {
  it('keeps to the schema that is published', async () => {
    await expect(`${JSON.stringify(reportJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(
      '../../../docs/report.schema.json',
    );
    folder.write('a.report.json', Buffer.from(JSON.stringify(report)));
    expect(readReport(path.join(folder.path, 'a.report.json'))).toEqual(report);
  });

  it('of an older Whittle is read too, and anything else is not', () => {
    const { kinds: _, checks: __, budget: ___, ...old } = report;
    const write = (name: string, content: unknown) => {
      folder.write(name, Buffer.from(JSON.stringify(content)));
      return path.join(folder.path, name);
    };
    expect(readReport(write('old.report.json', old))).toEqual(old);
    expect(() => readReport(write('x.json', { ...report, before: {} }))).toThrow(
      /not a report: before\.fileBytes.*x\.json/,
    );
    folder.write('y.json', Buffer.from('{'));
    expect(() => readReport(path.join(folder.path, 'y.json'))).toThrow(/not JSON.*y\.json/);
    expect(() => readReport('/nowhere.json')).toThrow(/cannot read/);
  });

  it('says of every number how it came about', () => {
    expect(
      reportRows(report).map(({ name, before, after, change: by, kind }) => [
        name,
        before,
        after,
        by,
        kind,
      ]),
    ).toEqual([
      ['File', '4.0 KiB', '1.0 KiB', '−75.0 %', 'exact'],
      ['Weights', '16.0 KiB', '4.0 KiB', '−75.0 %', 'exact'],
      ['Parameters', '100', '100', '±0 %', 'exact'],
      ['MACs', '1,000', '1,000', '±0 %', 'exact'],
      ['Latency, Phone <A>', '4.000 ms', '3.000 ms', '−25.0 %', 'modelled'],
      ['Latency, this machine', '2.000 ms', '1.000 ms', '−50.0 %', 'measured'],
      ['top1', '0.9000', '0.8900', '−1.1 %', 'measured'],
    ]);
  });

  it('is a table for CI', () => {
    const lines = reportMarkdown(report).split('\n');
    expect(lines[0]).toBe('### net\\|work.onnx, small.whittle.yaml: over budget');
    expect(lines).toContain('| MACs | 1,000 | 1,000 | ±0 % | exact |');
    expect(lines).toContain('| logits | 31.3 | 0.99960 |');
    expect(lines).toContain(
      '- Over budget: Loss of the metric is 1.11 % (measured), at most 1.00 % is allowed',
    );
    expect(lines).toContain(
      '- Magnitude takes 0.25 % off the latency on mobile.a (modelled), less than 2.00 %. It was left out',
    );
    expect(lines).toContain(
      '- <conv> is quantised and runs in floating point all the same, as Conv',
    );
  });

  it('is one HTML file that loads nothing and trusts no name', () => {
    const html = reportHtml(report);
    expect(html).toContain('&lt;conv&gt;');
    expect(html).toContain('a &quot;fast&quot; one');
    expect(html).not.toMatch(/<conv>|<script|https?:|src=|href=/);
    expect(html.match(/class="kind (exact|modelled|measured)"/g)!.length).toBeGreaterThan(7);
    expect(html).toContain('<svg');
  });

  it('draws the roofline, and says the same in words and as a table', () => {
    const html = reportHtml(report);
    const [, chart] = /(<svg class="roofline"[^]*?<\/svg>)/.exec(html)!;
    expect(chart).toMatch(/^<svg class="roofline" role="img" aria-label="2 layers with products/);
    expect(chart).not.toContain('NaN');
    const said =
      '&lt;conv&gt; (Conv): 12 MAC/B, 40 GMAC/s, 2.000 ms, 66.7 %, bound by weight bandwidth; before 4 MAC/B, 30 GMAC/s';
    expect(chart).toContain(`<title>${said}</title>`);
    // Two roofs and a slope; two layers, one of which has moved.
    expect(chart!.match(/class="roof/g)).toHaveLength(3 + 1);
    expect(chart!.match(/class="mark/g)).toHaveLength(3);
    const places = [...chart!.matchAll(/mark-\S+"[^>]*translate\(([\d.]+) ([\d.]+)\)/g)];
    const [is, other] = [places[0]!, places[1]!].map(([, x, y]) => [Number(x), Number(y)]);
    expect(is![1]).toBeLessThan(other![1]!);
    expect(html).toContain('<td>0.25</td><td>1</td><td>–</td><td>0.5000 ms</td>');
    expect(html).toContain(
      '<td>convolution</td><td>1</td><td>3.000 ms → 2.000 ms</td><td>66.7 %</td>',
    );
    const { rooflines, ...without } = report;
    expect(reportHtml(without)).not.toContain('Roofline');
    const none = { ...rooflines![0]!, none: 'weights <stay>', layers: [] };
    expect(reportHtml({ ...report, rooflines: [none] })).toContain('weights &lt;stay&gt;');
  });

  it('fails CI where a budget is broken', () => {
    expect(isOverBudget(report)).toBe(true);
    expect(() => requireBudget(report)).toThrow(/Over budget: Loss of the metric is 1.11 %/);
    expect(() => requireBudget({ budget: report.budget!.slice(0, 1) })).not.toThrow();
    expect(() => requireBudget({})).not.toThrow();
  });
});

it('is documented', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/report.md'), 'utf8');
  for (const key of Object.keys(report)) expect(page, key).toContain(`\`${key}\``);
});
