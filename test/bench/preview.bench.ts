/**
 * How long the server takes to answer while a slider moves: the recipe with the value in motion, run on shapes, costed and
 * drawn. On the samples, for a slider of each pass that has one. What counts is how long people wait, by the clock, for the
 * median move; the processor time of all threads, which other work on the machine hardly changes, is told beside it.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { TextDocuments } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { makeDesign } from '../../language/design/design';
import { Subjects } from '../../language/server/subjects';
import type { Bench, Row } from './lib/bench';

interface Slider {
  readonly model: string;
  readonly steps: string;
  /** The step that moves; its parameter, and the form of its value. */
  readonly step: number;
  readonly parameter: string;
  readonly value: (at: number) => unknown;
}

const BUDGET_MS = 100;
const MOVES = 25;
const TARGETS = ['mobile.pixel3-cpu', 'fpga.zcu102-dpu'];

const PRUNE = '  - pass: prune.magnitude\n    ratio: 0.5\n';
const TOKENS = '  - pass: tokens.topk\n    keep: [0.7, 0.49, 0.343]\n';
const INT8 = '  - pass: quantize.int8\n';
const ratio = { parameter: 'ratio', value: (at: number) => at };
const keep = {
  parameter: 'keep',
  value: (at: number) => [0.9, 0.8, 0.7].map((most) => Number((most * (0.5 + at / 2)).toFixed(3))),
};

const SLIDERS: readonly Slider[] = [
  { model: 'shapes-resnet.onnx', steps: PRUNE, step: 0, ...ratio },
  { model: 'shapes-resnet.onnx', steps: PRUNE + INT8, step: 0, ...ratio },
  { model: 'shapes-vit.onnx', steps: TOKENS, step: 0, ...keep },
  { model: 'shapes-vit.onnx', steps: TOKENS + PRUNE + INT8, step: 0, ...keep },
  { model: 'text-llama.onnx', steps: PRUNE, step: 0, ...ratio },
  { model: 'text-llama.onnx', steps: PRUNE + INT8, step: 0, ...ratio },
];

/** Of the median move. */
interface Times {
  readonly processorMs: number;
  readonly clockMs: number;
}

const samples = path.resolve('templates/samples');

function measure({ model, steps, ...moving }: Slider, folder: string): Times {
  const file = path.join(folder, 'bench.whittle.yaml');
  const head = `version: 1\nmodel: ${path.join(samples, model)}\n`;
  writeFileSync(file, `${head}targets: [${TARGETS.join(', ')}]\nsteps:\n${steps}`);
  const subjects = new Subjects(new TextDocuments(TextDocument));
  const document = pathToFileURL(file).href;
  const times = Array.from({ length: MOVES }, (_, move) => {
    const draft = {
      step: moving.step,
      parameter: moving.parameter,
      value: moving.value(Number((0.3 + (move % MOVES) / (2 * MOVES)).toFixed(3))),
    };
    const [start, used] = [performance.now(), process.cpuUsage()];
    const subject = subjects.of(document, draft);
    makeDesign(subject, { target: subject.resolve(TARGETS[0]!), open: null });
    if (subject.preview.failure) throw subject.preview.failure.error;
    const { user, system } = process.cpuUsage(used);
    return { processorMs: (user + system) / 1000, clockMs: performance.now() - start };
  });
  return times.sort((a, b) => a.clockMs - b.clockMs)[MOVES >> 1]!;
}

export default ({ scratch }: Bench): Row[] =>
  SLIDERS.map((slider) => {
    const { processorMs, clockMs } = measure(slider, scratch);
    const passes = [...slider.steps.matchAll(/pass: (\S+)/g)].map(([, id]) => id).join(' + ');
    return {
      name: `${slider.model}, ${passes}: a move of a slider`,
      value: clockMs,
      unit: 'ms',
      bar: BUDGET_MS,
      note: `${processorMs.toFixed(0)} ms of processor time`,
    };
  });
