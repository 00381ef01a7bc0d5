import path from 'node:path';
import * as vscode from 'vscode';
import type { ViewMemory } from '../../language/protocol';
import type { Context } from '../context';
import { VIEW } from '../ids';
import { UNSAVED_SCHEME } from './uris';

export interface Opening {
  readonly column?: vscode.ViewColumn | undefined;
  /** Where the person stands in the graph, to be kept. */
  readonly view?: ViewMemory | undefined;
}

/** Opens the designer on a model's recipe, a new one if it has none; answers that recipe, or nothing when nobody chose. */
export async function openDesigner(
  context: Context,
  model: vscode.Uri,
  opening: Opening = {},
): Promise<vscode.Uri | undefined> {
  const recipe = await recipeOf(context, model);
  if (recipe) await showDesigner(context, recipe, opening);
  return recipe;
}

export async function showDesigner(
  context: Context,
  recipe: vscode.Uri,
  { column, view }: Opening = {},
): Promise<void> {
  if (view) context.memories.keep(recipe, view);
  const options = { viewColumn: column ?? vscode.ViewColumn.Active, preview: false };
  await vscode.commands.executeCommand('vscode.openWith', recipe, VIEW.designer, options);
}

async function recipeOf(context: Context, model: vscode.Uri): Promise<vscode.Uri | undefined> {
  const saved = await context.backend.request('recipesFor', { model: model.fsPath });
  const recipes = [...saved.map((file) => vscode.Uri.file(file)), ...context.unsaved.of(model)];
  if (recipes.length === 0) return context.unsaved.create(model);
  if (recipes.length === 1) return recipes[0];
  const fresh = { label: vscode.l10n.t('$(add) New Recipe'), recipe: undefined };
  const items = recipes.map((recipe) => ({
    label: path.posix.basename(recipe.path),
    description: recipe.scheme === UNSAVED_SCHEME ? vscode.l10n.t('not saved') : '',
    recipe,
  }));
  const choice = await vscode.window.showQuickPick([...items, fresh], {
    placeHolder: vscode.l10n.t(
      '{0} has several recipes. Which one?',
      path.posix.basename(model.path),
    ),
  });
  if (!choice) return undefined;
  return choice.recipe ?? context.unsaved.create(model);
}
