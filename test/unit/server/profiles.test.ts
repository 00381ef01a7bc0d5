/** Target profiles in an editor: diagnostics, completion and hover come from the schema. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import {
  profileCompletions,
  profileDiagnostics,
  profileHover,
} from '../../../language/server/profiles';

const FILE = path.join(import.meta.dirname, 'unsaved.target.yaml');
const open = (text: string) => TextDocument.create('file:///x', 'whittle-target', 1, text);
const problems = (text: string) =>
  profileDiagnostics(open(text), FILE).map(({ range, message }) => [range.start.line, message]);
const at = (text: string, line: number, character = 100) =>
  [open(text), FILE, { line, character }] as const;

describe('diagnostics', () => {
  it('are none for what is right, saved or not', () => {
    expect(problems('extends: fpga.zcu104-dataflow\nclockMhz: 200\n')).toEqual([]);
  });

  it('say every problem, on its line, with what to do', () => {
    const text = [
      'extends: fpga.zcu104-dataflow',
      'budget: { dsp: -1 }',
      'engines:',
      '  startUs: 3',
      'basis: { status: analytical }',
    ].join('\n');
    expect(problems(text)).toEqual(
      expect.arrayContaining([
        [1, expect.stringMatching(/^budget\.dsp: .*A rate or a size must be above zero/)],
        [3, expect.stringMatching(/startUs.*There are macsPerDsp, startCycles/)],
      ]),
    );
  });

  it.each([
    ['broken YAML', 'title: "a\n', 1],
    ['an unknown base', 'title: A\nextends: asic.ethos-u55\n', 0],
    ['an unknown design', 'extends: asic.ethos-u55-128\ndesign: loop\n', 1],
  ])('say %s', (_, text, line) => {
    expect(problems(text)).toEqual([[line, expect.any(String)]]);
  });
});

describe('completion', () => {
  const names = (...place: Parameters<typeof profileCompletions>) =>
    profileCompletions(...place).map(({ label }) => label);

  it('offers the fields of the kind and the design, with what they mean', () => {
    const text = 'extends: asic.ethos-u55-256\nstorage:\n  ';
    expect(names(...at(text, 2))).toEqual([
      'bytesPerCycle',
      'burstBytes',
      'readCycles',
      'writeCycles',
    ]);
    const [first] = profileCompletions(...at(text, 2));
    expect(first).toMatchObject({
      insertText: 'bytesPerCycle: ',
      documentation: 'Bytes of the memory of weights per cycle',
    });
    expect(names(...at('extends: fpga.zcu102-dpu\n\n', 1))).toContain('overlay');
    expect(names(...at('extends: fpga.u250-dataflow\n\n', 1))).toContain('engines');
  });

  it('offers the values of a field', () => {
    const text = 'extends: reram.isaac\ncrossbar:\n  polarity: ';
    expect(names(...at(text, 2))).toEqual(['offset', 'two-column', 'differential']);
  });
});

describe('hover', () => {
  it('says what a field means, and nothing of others', () => {
    const text = 'extends: fpga.zcu104-dataflow\nengines:\n  lutScale: 2\n  other: 1\n';
    expect(profileHover(...at(text, 2))).toEqual({
      contents: 'Look-up tables built for one that the equations count',
    });
    expect(profileHover(...at(text, 3))).toBeNull();
    expect(profileHover(...at('kind: mobile\n\n', 1))).toBeNull();
  });
});
