/** Every bundled template does on a sample what it says: a model that runs, and what was asked of its loss. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { MADE_UP_INPUTS } from '../../../language/protocol';
import { applyRecipe } from '../../../language/recipe/apply';
import { testHost } from '../runtime/host';
import { recipeOf } from './subject';

const host = testHost();
const folder = path.join(import.meta.dirname, '../../../templates/recipes');
const samples = path.join(folder, '../samples');
/** Enough to see that nothing broke. */
const FEW = 16;

interface Text {
  readonly model?: string;
  readonly shapes?: Readonly<Record<string, number>>;
  readonly calibration?: object;
  readonly evaluation?: object;
  readonly steps: readonly { readonly pass: string }[];
}

/** What a template without a model is tried on: one that its passes are made for. */
const madeFor = ({ steps }: Text): string =>
  steps.some(({ pass }) => pass.startsWith('tokens.')) ? 'shapes-vit.onnx' : 'shapes-resnet.onnx';

describe('the bundled templates', { timeout: 120_000 }, () => {
  it.each(readdirSync(folder))('%s', async (name) => {
    const file = path.join(folder, name);
    const text = parse(readFileSync(file, 'utf8')) as Text;
    const { model, calibration, evaluation } = text;
    const recipeText = JSON.stringify({
      ...text,
      ...(calibration && { calibration: { ...calibration, samples: FEW } }),
      ...(evaluation && { evaluation: { ...evaluation, samples: FEW } }),
    });
    const { content } = await applyRecipe(
      {
        recipe: recipeOf(recipeText),
        folder,
        recipeFile: file,
        recipeText,
        model: model ? path.join(folder, model) : path.join(samples, madeFor(text)),
        output: path.join(host.folder, `${name}.onnx`),
        overwrite: false,
        shapes: text.shapes ?? {},
      },
      {
        signal: new AbortController().signal,
        onProgress: () => undefined,
        runtimeEntry: host.entry,
      },
    );
    expect(content.steps.map(({ pass }) => pass)).toEqual(text.steps.map(({ pass }) => pass));
    expect(content.steps.every(({ sites }) => sites > 0)).toBe(true);
    expect(content.checks?.loads).toBe(true);
    const madeUp = content.steps.some((step) => step.calibration === MADE_UP_INPUTS);
    expect(madeUp).toBe(JSON.stringify(calibration ?? {}).includes('generated'));
    expect(content.fidelity.metric !== undefined).toBe(evaluation !== undefined);
    for (const { sqnrDb } of content.fidelity.outputs)
      expect(sqnrDb ?? Infinity).toBeGreaterThan(3);
  });
});
