import * as vscode from 'vscode';
import type { DataUse } from '../../language/protocol';
import type { Context } from '../context';
import { chooseData } from '../recipes/data';
import { recipeInFront } from './pick';

/** For the recipe in front, as text or in the designer. */
export const chooseDataCommand = (context: Context, use: DataUse) => async () => {
  const recipe = recipeInFront();
  if (recipe) await chooseData(context, await vscode.workspace.openTextDocument(recipe), use);
  else void vscode.window.showInformationMessage(vscode.l10n.t('Open a recipe first.'));
};
