/**
 * The table of measurements that a profile is fitted to: comma-separated, with the columns `model` and `latency_ms`, and
 * `shape` where models leave sizes free: `batch=1;sequence=128`, or `image=1x3x224x224`.
 */
import { didYouMean, WhittleError } from '../errors';
import { readBinding } from '../graph/bindings';
import type { ShapeBindings } from '../graph/facts';

export interface MeasuredRow {
  /** As the table spells it. */
  readonly model: string;
  /** The sizes that it was measured at, as the table spells them; empty where it says none. */
  readonly shape: string;
  readonly shapes: ShapeBindings;
  readonly latencyMs: number;
  readonly where: string;
}

const COLUMNS = ['model', 'latency_ms'] as const;

/** @throws WhittleError with file, line and column of what is wrong */
export function readMeasurements(file: string, text: string): MeasuredRow[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const head = cellsOf(lines[0] ?? '').map((cell) => cell.trim());
  const [model, latency] = COLUMNS.map((column) => columnOf(head, column, file)) as [
    number,
    number,
  ];
  const shapeAt = head.indexOf('shape');
  return lines.flatMap((line, i) => {
    if (i === 0 || line.trim() === '') return [];
    const where = `${file}:${i + 1}`;
    const cells = cellsOf(line);
    const name = cells[model]?.trim() ?? '';
    if (name === '') throw new WhittleError('model: a path is missing', { where });
    const latencyMs = Number(cells[latency] ?? '');
    const shape = cells[shapeAt]?.trim() ?? '';
    if (cells[latency]?.trim() && latencyMs > 0 && Number.isFinite(latencyMs))
      return [{ model: name, shape, shapes: shapesOf(shape, where), latencyMs, where }];
    throw new WhittleError(
      `latency_ms: ${JSON.stringify(cells[latency] ?? '')} is no time in milliseconds`,
      { where, hint: 'A number above zero is expected, without a unit' },
    );
  });
}

function shapesOf(text: string, where: string): ShapeBindings {
  const bindings: Record<string, number | number[]> = {};
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const binding = readBinding(part.trim());
    if (!binding)
      throw new WhittleError(`shape: ${JSON.stringify(part.trim())} binds no size`, {
        where,
        hint: 'Write batch=1;sequence=128, or image=1x3x224x224',
      });
    bindings[binding.name] = binding.size;
  }
  return bindings;
}

function columnOf(head: readonly string[], column: string, file: string): number {
  const at = head.indexOf(column);
  if (at >= 0) return at;
  throw new WhittleError(`${column}: the column is missing`, {
    where: `${file}:1`,
    hint:
      didYouMean(column, head.filter(Boolean)) ||
      `The first line names the columns: ${COLUMNS.join(',')}`,
  });
}

/** Cells in quotes may hold commas, and quotes twice. */
function cellsOf(line: string): string[] {
  const cells: string[] = [];
  let cell = '';
  let isQuoted = false;
  for (let i = 0; i < line.length; i++) {
    const char = line.charAt(i);
    if (char === '"' && isQuoted && line[i + 1] === '"') {
      cell += '"';
      i++;
    } else if (char === '"') isQuoted = !isQuoted;
    else if (char === ',' && !isQuoted) {
      cells.push(cell);
      cell = '';
    } else cell += char;
  }
  return [...cells, cell];
}
