import * as vscode from 'vscode';
import type { Context } from '../context';
import { openDesigner, showDesigner } from '../recipes/open';
import { isRecipe, modelFor } from './pick';

/** From the Explorer and the palette: a model's designer. */
export const openDesignerCommand = (context: Context) => async (argument?: unknown) => {
  const model = await modelFor(argument);
  if (!model) return;
  if (isRecipe(model)) await showDesigner(context, model);
  else await openDesigner(context, model, { view: context.memories.of(model) ?? undefined });
};

/** From a recipe's text: the designer of the same document. */
export const openDesignerToSideCommand = (context: Context) => async (argument?: unknown) => {
  const recipe =
    argument instanceof vscode.Uri ? argument : vscode.window.activeTextEditor?.document.uri;
  if (recipe) await showDesigner(context, recipe, { column: vscode.ViewColumn.Beside });
};

/** From the designer: the text of the same document. */
export const openRecipeToSideCommand = (context: Context) => async (argument?: unknown) => {
  const recipe = argument instanceof vscode.Uri ? argument : context.views.active?.document;
  if (recipe) {
    await vscode.window.showTextDocument(recipe, { viewColumn: vscode.ViewColumn.Beside });
  }
};

export const newRecipeCommand = (context: Context) => async (argument?: unknown) => {
  const model = await modelFor(argument);
  if (model) await showDesigner(context, await context.unsaved.create(model));
};
