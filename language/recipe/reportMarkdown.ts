/** A report as a table for the comments and summaries of CI. */
import path from 'node:path';
import type { Report } from '../protocol';
import { isOverBudget, reportRemarks, reportRows } from './reportTable';

export function reportMarkdown(report: Report): string {
  const { model, recipe, measured } = report;
  const subject = [model, recipe].map((file) => cell(path.basename(file.path))).filter(Boolean);
  const rows = reportRows(report).map(({ name, before, after, change, kind }) =>
    [name, before, after, change, kind].map(cell),
  );
  const outputs = report.fidelity.outputs.map(({ name, sqnrDb, cosine, maxAbs }) =>
    [name, sqnrDb?.toFixed(1) ?? (maxAbs === 0 ? 'equal' : '–'), cosine?.toFixed(5) ?? '–'].map(
      cell,
    ),
  );
  return [
    `### ${subject.join(', ')}${isOverBudget(report) ? ': over budget' : ''}`,
    '',
    ...table(['', 'before', 'after', 'change', 'kind'], rows),
    ...(outputs.length ? ['', ...table(['output (measured)', 'SQNR, dB', 'cosine'], outputs)] : []),
    '',
    ...reportRemarks(report).map((remark) => `- ${cell(remark)}`),
    ...(measured.conditions ? [`- Measured: ${cell(measured.conditions)}`] : []),
    '',
  ].join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, i) => (i === 0 || i === head.length - 1 ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)];
}
