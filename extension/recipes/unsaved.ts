import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { Send } from '../backend';
import { fileUri, protocolUri, UNSAVED_SCHEME } from './uris';

const KEY = 'unsavedRecipes';
const MOST = 50;

export interface UnsavedRecipe {
  readonly recipe: string;
  readonly model: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly changed: number;
}

/**
 * Recipes that nobody has saved yet. Each has the path of the file that it will become, beside its model. They are kept
 * with the workspace, so that they survive a restart of the window.
 */
export class UnsavedRecipes {
  constructor(private readonly state: vscode.Memento) {}

  /** A new recipe for a model; nothing is written beside the model. */
  async create(model: vscode.Uri): Promise<vscode.Uri> {
    const recipe = this.#freeUri(model);
    await this.#put({
      recipe: recipe.toString(),
      model: model.fsPath,
      text: firstText(model),
      changed: Date.now(),
    });
    return recipe;
  }

  get(recipe: vscode.Uri): UnsavedRecipe | undefined {
    return this.#all().find((each) => each.recipe === recipe.toString());
  }

  /** Keeps a text that was saved by itself, not by the user. */
  async keep(recipe: vscode.Uri, text: string): Promise<void> {
    const known = this.get(recipe);
    if (known) await this.#put({ ...known, text, changed: Date.now() });
  }

  /** It has a file now. */
  async forget(recipe: vscode.Uri): Promise<void> {
    await this.state.update(KEY, this.#except(recipe.toString()));
  }

  /** Those of a model that are open or say something already. */
  of(model: vscode.Uri): readonly vscode.Uri[] {
    return this.#all()
      .filter((each) => each.model === model.fsPath && isInUse(each))
      .map(({ recipe }) => vscode.Uri.parse(recipe));
  }

  /** Tells the server which models the open ones belong to, or only this one. */
  async bind(send: Send, document?: vscode.TextDocument): Promise<void> {
    const documents = document ? [document] : vscode.workspace.textDocuments;
    for (const { uri } of documents) {
      const model = this.get(uri)?.model;
      if (model !== undefined) await send('bind', { document: protocolUri(uri), model });
    }
  }

  /** `MODEL.whittle.yaml` beside the model, or with a number while that is taken. */
  #freeUri(model: vscode.Uri): vscode.Uri {
    const stem = model.path.replace(/\.onnx$/i, '');
    for (let number = 1; ; number++) {
      const name = `${stem}${number === 1 ? '' : `-${number}`}.whittle.yaml`;
      const uri = vscode.Uri.from({ scheme: UNSAVED_SCHEME, path: name });
      const known = this.get(uri);
      if (!existsSync(fileUri(uri).fsPath) && !(known && isInUse(known))) return uri;
    }
  }

  #put(recipe: UnsavedRecipe): Thenable<void> {
    return this.state.update(KEY, [recipe, ...this.#except(recipe.recipe)].slice(0, MOST));
  }

  #except = (recipe: string) => this.#all().filter((each) => each.recipe !== recipe);

  #all = () => this.state.get<readonly UnsavedRecipe[]>(KEY, []);
}

/** What a new recipe says. A JSON string is a YAML string whatever is in the name. */
function firstText(model: vscode.Uri): string {
  const name = `./${path.posix.basename(model.path)}`;
  return `version: 1\nmodel: ${/^[\w./-]+$/.test(name) ? name : JSON.stringify(name)}\n`;
}

/** One that was only looked at leaves its name to the next. */
const isInUse = ({ recipe, model, text }: UnsavedRecipe) =>
  text !== firstText(vscode.Uri.file(model)) ||
  vscode.workspace.textDocuments.some(({ uri }) => uri.toString() === recipe);
