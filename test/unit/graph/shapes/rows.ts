import { describe, expect, it } from 'vitest';
import { inferNode, show, type Input, type Setting } from './notation';

export type Attributes = Parameters<typeof inferNode>[2];
export type Row = readonly [
  op: string,
  inputs: Input[],
  attributes: Attributes,
  outputs: string[],
  setting?: Setting,
];

/** Tests that an operator gives what its row says. Expectations are worked out by hand from the operator's definition. */
export function check(family: string, rows: readonly Row[]): void {
  describe(family, () => {
    it.each(rows.map((row) => ({ title: titleOf(row), row })))('$title', ({ row }) => {
      const [op, inputs, attributes, outputs, setting] = row;
      const result = inferNode(op, inputs, attributes, outputs.length, setting);
      expect(result.problems).toEqual([]);
      expect(result.outputs.map(show)).toEqual(outputs);
    });
  });
}

export function titleOf([op, inputs, attributes]: readonly [
  string,
  Input[],
  Attributes,
  ...unknown[],
]): string {
  const shown = inputs.map((input) =>
    typeof input === 'string' ? input : input ? `constant [${input.dims.join(',')}]` : 'nothing',
  );
  return `${op} of ${shown.join(', ')} ${JSON.stringify(attributes)}`;
}
