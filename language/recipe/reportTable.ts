/** The numbers of a report as rows, for every form that it is shown in. */
import type { BudgetReport, Change, NumberKind, Report } from '../protocol';

export interface ReportRow {
  readonly name: string;
  readonly before: string;
  readonly after: string;
  /** Relative, or empty where there is none. */
  readonly change: string;
  readonly kind: NumberKind;
}

export function reportRows({ before, after, fidelity, measured }: Report): ReportRow[] {
  const row = (
    name: string,
    kind: NumberKind,
    [old, fresh]: readonly [number | null, number | null],
    show: (value: number) => string,
    atLeast = false,
  ): ReportRow => {
    const text = (value: number | null) =>
      value === null ? 'unknown' : `${atLeast ? 'at least ' : ''}${show(value)}`;
    return { name, kind, before: text(old), after: text(fresh), change: relative(old, fresh) };
  };
  const rows = [
    row('File', 'exact', [before.fileBytes, after.fileBytes], bytes),
    row('Weights', 'exact', [before.weightBytes, after.weightBytes], bytes),
    row('Parameters', 'exact', [before.parameters, after.parameters], whole),
    row(
      'MACs',
      'exact',
      [before.macs, after.macs],
      whole,
      (before.partial ?? false) || (after.partial ?? false),
    ),
  ];
  after.targets.forEach(({ title, latencyMs, energyMj, partial }, t) => {
    const old = before.targets[t];
    if (!old) return;
    const atLeast = partial || old.partial;
    rows.push(row(`Latency, ${title}`, 'modelled', [old.latencyMs, latencyMs], ms, atLeast));
    if (old.energyMj !== null || energyMj !== null)
      rows.push(row(`Energy, ${title}`, 'modelled', [old.energyMj, energyMj], mj, atLeast));
  });
  if (!measured.unavailable)
    rows.push(row('Latency, this machine', 'measured', [measured.beforeMs, measured.afterMs], ms));
  const { metric } = fidelity;
  if (metric)
    rows.push(row(metric.id, 'measured', [metric.before, metric.after], (v) => v.toFixed(4)));
  return rows;
}

/** What is worth a sentence, with what could not be measured. */
export function reportRemarks(report: Report): string[] {
  const { fidelity, measured } = report;
  return [
    ...resultRemarks(report),
    ...(fidelity.unavailable ? [`Not compared: ${fidelity.unavailable}`] : []),
    ...(measured.unavailable ? [`Not timed: ${measured.unavailable}`] : [measured.verdict]),
  ].filter((text) => text !== '');
}

/** On budgets, guards and checks. */
export function resultRemarks({
  steps,
  checks,
  budget = [],
}: Pick<Report, 'steps' | 'checks' | 'budget'>): string[] {
  return [
    ...budget.map(budgetText),
    ...steps.flatMap(({ title, rolledBack }) => {
      if (!rolledBack) return [];
      const { reason, node } = rolledBack;
      return [
        `${title} was rolled back: ${reason}${node === undefined ? '' : `, at ${node} alone already`}`,
      ];
    }),
    ...steps.flatMap(({ title, guard }) => {
      if (!guard || guard.pays) return [];
      const gain = guard.gain === null ? 'an unknown share' : percent(guard.gain);
      const fate = guard.dropped ? 'It was left out' : 'It was kept';
      return [
        `${title} takes ${gain} off the latency on ${guard.on} (${guard.kind}), less than ${percent(guard.minGain)}. ${fate}`,
      ];
    }),
    ...(checks?.unfused ?? []).map(
      ({ node, kernel }) =>
        `${node} is quantised and runs in floating point all the same, as ${kernel}`,
    ),
  ];
}

export const isOverBudget = ({ budget = [] }: Pick<Report, 'budget'>): boolean =>
  budget.some(({ kept }) => !kept);

export function budgetText({ what, target, limit, actual, kind, kept }: BudgetReport): string {
  const show = what === 'latency' ? ms : percent;
  const subject =
    what === 'latency' ? `Latency on ${target ?? 'the target'}` : 'Loss of the metric';
  const found = actual === null ? 'is not known' : `is ${show(actual)}`;
  return `${kept ? 'Within budget' : 'Over budget'}: ${subject} ${found} (${kind}), at most ${show(limit)} is allowed`;
}

export const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
export const ms = (value: number): string => `${value.toPrecision(4)} ms`;
const mj = (value: number): string => `${value.toPrecision(4)} mJ`;
export const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;
export function bytes(value: number): string {
  if (value < 2 ** 20) return `${(value / 2 ** 10).toFixed(1)} KiB`;
  return `${(value / 2 ** 20).toFixed(2)} MiB`;
}

/** `−12.0 %`; empty where there is none. */
export function relative(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return '';
  const change = after / before - 1;
  if (change === 0) return '±0 %';
  return `${change > 0 ? '+' : '−'}${Math.abs(100 * change).toFixed(1)} %`;
}

/** Before and after, or one where they are the same. */
export function changeText(change: Change | undefined, show: (value: number) => string): string {
  if (!change) return '–';
  const text = (value: number | null) => (value === null ? 'unknown' : show(value));
  const { before, after } = change;
  return before === after ? text(before) : `${text(before)} → ${text(after)}`;
}
