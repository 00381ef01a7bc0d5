/** Tables as comma-separated values (RFC 4180) with a heading. */
import { readFileSync } from 'node:fs';
import { didYouMean, WhittleError } from '../../errors';

export interface Table {
  readonly file: string;
  /** Columns other than the key. */
  readonly names: readonly string[];
  column(name: string): readonly string[];
  /** @throws WhittleError naming the line of what is no number */
  numbers(name: string): Float64Array;
}

/** @param key a column that has to be there */
export function readTable(file: string, key: string): Table {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (cause) {
    throw new WhittleError('the table cannot be read', { where: file, cause });
  }
  const [head = [], ...rows] = parse(text);
  const place = (name: string): number => {
    const at = head.indexOf(name);
    if (at >= 0) return at;
    throw new WhittleError(`the table has no column ${name}`, {
      where: file,
      hint: didYouMean(name, head) || `Its columns are ${head.join(', ')}`,
    });
  };
  place(key);
  const short = rows.findIndex((row) => row.length !== head.length);
  if (short >= 0)
    throw new WhittleError(`the row has ${rows[short]!.length} cells of ${head.length}`, {
      where: `${file}, row ${short + 2}`,
    });
  const column = (name: string) => rows.map((row) => row[place(name)]!);
  return {
    file,
    names: head.filter((name) => name !== key),
    column,
    numbers: (name) =>
      Float64Array.from(column(name), (cell, i) => {
        if (cell.trim() !== '' && Number.isFinite(Number(cell))) return Number(cell);
        throw new WhittleError(`${JSON.stringify(cell)} is no number`, {
          where: `column ${name}, row ${i + 2} of ${file}`,
        });
      }),
  };
}

function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const match of text.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g)) {
    const [all, cell = '', end] = match;
    if (all === '' && row.length === 0) continue;
    row.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  return rows;
}
