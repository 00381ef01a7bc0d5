/** What open documents are about: the model behind each, its recipe as it stands, and the preview of it. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TextDocuments } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import type { Subject } from '../design/design';
import { WhittleError } from '../errors';
import type { ShapeBindings } from '../graph/facts';
import { targetProfile, vocabulary } from '../recipe/bundled';
import { enabledSteps } from '../recipe/decisions';
import { editRecipe, apply } from '../recipe/edit';
import { isRecipeFile, readText, resolveFrom, textHash } from '../recipe/files';
import { bindModel, openModel, type BoundModel, type OpenedModel } from '../recipe/opened';
import { parseRecipe, type Recipe, type Step } from '../recipe/recipe';
import { previewSteps, type Preview } from '../recipe/run';
import type { Outcome } from '../recipe/steps';
import type { Place } from './effects';

/** A step's parameter in motion. */
export interface Draft {
  readonly step: number;
  readonly parameter: string;
  readonly value: unknown;
}

interface RememberedPreview {
  readonly bound: BoundModel;
  /** What everything up to each step depends on. */
  readonly keys: readonly string[];
  readonly outcomes: readonly Outcome[];
}

export class Subjects {
  readonly #bindings = new Map<string, string>();
  readonly #models = new Map<string, { readonly stamp: string; readonly opened: OpenedModel }>();
  readonly #bound = new Map<string, { readonly key: string; readonly bound: BoundModel }>();
  readonly #previews = new Map<string, RememberedPreview>();
  /** Decisions by the key of their step. */
  readonly #plans = new Map<string, unknown>();

  constructor(private readonly documents: TextDocuments<TextDocument>) {}

  /** An untitled recipe is about this model until its text says otherwise. */
  bind(document: string, model: string): void {
    this.#bindings.set(document, model);
  }

  forget(document: string): void {
    this.#previews.delete(document);
  }

  /** The document as it stands, a draft included. */
  of(document: string, draft?: Draft): Subject {
    if (!isRecipeUri(document)) {
      const bound = this.#boundModel(document, fileOf(document), {});
      return {
        bound,
        recipe: undefined,
        preview: { outcomes: [], failure: undefined },
        resolve: (id) => targetProfile(id),
      };
    }
    const folder = path.dirname(fileOf(document));
    const { recipe, problems } = parseRecipe(this.text(document, draft), vocabulary(folder));
    const readable: Recipe = recipe ?? { version: 1, shapes: {}, targets: [], steps: [] };
    const bound = this.#boundModel(document, this.modelOf(document, recipe), readable.shapes);
    const name = path.basename(fileOf(document));
    const preview = this.#preview(document, bound, readable);
    return {
      bound,
      recipe: { name, recipe: readable, problems },
      preview,
      resolve: (id) => targetProfile(id, folder),
    };
  }

  /** The recipe's text: of the editor, or of the file. */
  text(document: string, draft?: Draft): string {
    const text =
      this.documents.get(document)?.getText() ??
      (document.startsWith('file:') ? readText(fileOf(document)) : '');
    if (!draft) return text;
    return apply(text, editRecipe(text, { kind: 'set', ...draft }, { model: '', targets: [] }));
  }

  /** The model that a recipe is about. @throws WhittleError when it names none */
  modelOf(document: string, recipe: Pick<Recipe, 'model'> | undefined): string {
    if (recipe?.model !== undefined)
      return resolveFrom(path.dirname(fileOf(document)), recipe.model);
    const bound = this.#bindings.get(document);
    if (bound === undefined)
      throw new WhittleError('the recipe names no model', {
        hint: 'Add `model: ./NAME.onnx` to it',
      });
    return bound;
  }

  /** The model at a path, read again when the file changed. */
  opened(file: string): OpenedModel {
    const stat = statSync(file, { throwIfNoEntry: false });
    const stamp = stat ? `${stat.mtimeMs} ${stat.size}` : 'absent';
    const known = this.#models.get(file);
    if (known?.stamp === stamp) return known.opened;
    const opened = openModel(file);
    this.#models.set(file, { stamp, opened });
    return opened;
  }

  remember(key: string, decisions: unknown): void {
    this.#plans.set(key, decisions);
  }

  /** The key of each enabled step: what its decisions depend on. */
  keysOf({ bound, recipe }: Subject): string[] {
    return recipe ? stepKeys(bound, recipe.recipe, this.#models.get(bound.file)?.stamp ?? '') : [];
  }

  placeOf(document: string, { bound }: Subject): Place {
    const modelStamp = this.#models.get(bound.file)?.stamp ?? '';
    return { folder: path.dirname(fileOf(document)), modelStamp };
  }

  #boundModel(document: string, file: string, shapes: ShapeBindings): BoundModel {
    const opened = this.opened(file);
    const key = JSON.stringify([file, this.#models.get(file)!.stamp, shapes]);
    const known = this.#bound.get(document);
    if (known?.key === key) return known.bound;
    const bound = bindModel(opened, shapes);
    this.#bound.set(document, { key, bound });
    return bound;
  }

  #preview(document: string, bound: BoundModel, recipe: Recipe): Preview {
    const stamp = this.#models.get(bound.file)?.stamp ?? '';
    const keys = stepKeys(bound, recipe, stamp);
    const planned = keys.map((key) => `${key} ${this.#plans.has(key) ? 'planned' : ''}`);
    const last = this.#previews.get(document);
    const before = last?.bound === bound ? last : undefined;
    const firstChange = planned.findIndex((key, i) => before?.keys[i] !== key);
    const same = firstChange < 0 ? planned.length : firstChange;
    const preview = previewSteps(bound, recipe.steps, {
      known: (position) => (position < same ? before?.outcomes[position] : undefined),
      earlier: (position) => before?.outcomes[position],
      remembered: (_, position) => {
        const key = keys[position]!;
        return this.#plans.has(key) ? { decisions: this.#plans.get(key) } : undefined;
      },
    });
    this.#previews.set(document, { bound, keys: planned, outcomes: preview.outcomes });
    return preview;
  }
}

function stepKeys(bound: BoundModel, { steps, calibration }: Recipe, stamp: string): string[] {
  const origin = [bound.file, stamp, [...bound.inputs], calibration ?? null];
  const essence = (step: Step) => [
    step.pass.id,
    step.at ?? null,
    step.except,
    step.strict,
    step.parameters,
    step.error ?? null,
  ];
  const enabled = enabledSteps(steps).map(essence);
  return enabled.map((_, i) => textHash(JSON.stringify([origin, enabled.slice(0, i + 1)])));
}

/** The path of a document, or the one that it will be saved to. */
export function fileOf(document: string): string {
  return fileURLToPath(document.replace(/^[a-z-]+:\/*/i, 'file:///'));
}

export const isRecipeUri = (document: string): boolean =>
  isRecipeFile(decodeURIComponent(document)) || document.startsWith('untitled:Untitled');
