/** A design while a slider moves takes over what the last one had: it has to be what a server that knows nothing answers. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { TextDocuments } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { describe, expect, it } from 'vitest';
import { afterOf, makeDesign, type Subject } from '../../../language/design/design';
import { Subjects, type Draft } from '../../../language/server/subjects';
import { testFolder } from '../data/arrays';
import { sample } from '../runtime/host';

const folder = testFolder();
const TARGETS = ['mobile.pixel3-cpu', 'fpga.zcu102-dpu', 'asic.systolic-32x32-ws'];
const PRUNE = '  - pass: prune.magnitude\n    ratio: 0.5\n';
const TOKENS = '  - pass: tokens.topk\n    keep: [0.7, 0.49]\n';
const INT8 = '  - pass: quantize.int8\n';
const ASSIGN = '  - pass: target.assign\n    at: op:Gemm\n    target: reram.isaac\n';

const keep = (...values: number[]): Draft => ({ step: 0, parameter: 'keep', value: values });
const ratio = (step: number, value: number): Draft => ({ step, parameter: 'ratio', value });

interface Moves {
  readonly model: string;
  readonly steps: string;
  readonly drafts: readonly Draft[];
}

const MOVES: readonly Moves[] = [
  {
    model: 'shapes-resnet',
    steps: PRUNE + INT8,
    drafts: [ratio(0, 0.2), ratio(0, 0.9), ratio(0, 0)],
  },
  {
    model: 'shapes-vit',
    steps: TOKENS + PRUNE + INT8 + ASSIGN,
    // Fewer tokens, as many as there are, for which nothing is put in, and the second step.
    drafts: [keep(0.6, 0.3), keep(0.6, 0.6), ratio(1, 0.7), keep(1, 0.2)],
  },
  { model: 'text-llama', steps: PRUNE + INT8, drafts: [ratio(0, 0.3), ratio(0, 0.995)] },
];

describe('a design while a slider moves', () => {
  it.each(MOVES)(
    'is that of the recipe as it would be written: $model',
    ({ model, steps, drafts }) => {
      const file = path.join(folder.path, `${model}.whittle.yaml`);
      const head = `version: 1\nmodel: ${sample(`${model}.onnx`)}\ntargets: [${TARGETS.join(', ')}]\n`;
      writeFileSync(file, `${head}steps:\n${steps}`);
      const document = pathToFileURL(file).href;
      const moved = newSubjects();
      for (const draft of drafts) {
        const anew = newSubjects();
        expect(designOf(moved.of(document, draft))).toEqual(designOf(anew.of(document, draft)));
      }
    },
  );

  it('keeps the nodes and their links as they are where only numbers differ', () => {
    const file = path.join(folder.path, 'links.whittle.yaml');
    writeFileSync(
      file,
      `version: 1\nmodel: ${sample('shapes-vit.onnx')}\nsteps:\n${TOKENS}${INT8}`,
    );
    const subjects = newSubjects();
    const [one, other] = [keep(0.8, 0.4), keep(0.7, 0.4)].map(
      (draft) => afterOf(subjects.of(pathToFileURL(file).href, draft)).graph,
    );
    expect(other!.order).toBe(one!.order);
    expect(other!.links).toBe(one!.links);
  });
});

const newSubjects = () => new Subjects(new TextDocuments(TextDocument));

function designOf(subject: Subject): unknown {
  const open = ['/blocks.3', '/blocks.6', '/layer1'];
  return makeDesign(subject, { target: subject.resolve(TARGETS[0]!), open });
}
