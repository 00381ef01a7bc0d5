import * as vscode from 'vscode';
import { applyRecipe } from '../apply';
import type { Context } from '../context';
import {
  fileItem,
  fileItems,
  isModel,
  isRecipe,
  pickModel,
  recipeInFront,
  type FileItem,
} from './pick';

/**
 * From a recipe or the designer: that recipe. From a model: a recipe for it is picked. From the palette: the recipe in
 * front comes first, and the model that a recipe names may be replaced.
 */
export const applyCommand = (context: Context) => async (argument?: unknown) => {
  if (argument instanceof vscode.Uri && isRecipe(argument)) {
    await applyRecipe(context, { recipe: argument });
    return;
  }
  const given = argument instanceof vscode.Uri && isModel(argument) ? argument : undefined;
  const choice = await pickRecipe(context, given);
  if (!choice) return;
  const model = given ?? (await modelOf(choice));
  if (model === 'cancelled') return;
  await applyRecipe(context, {
    recipe: choice.uri,
    model: model === 'own' ? undefined : model,
    template: choice.template,
  });
};

interface RecipeItem extends FileItem {
  /** A template names no model of the user's. */
  readonly template: boolean;
}

async function pickRecipe(
  context: Context,
  model: vscode.Uri | undefined,
): Promise<RecipeItem | undefined> {
  const items = recipeItems(context, model).then((groups) => groups.flatMap(withHeading));
  return (await vscode.window.showQuickPick<RecipeItem | vscode.QuickPickItem>(items, {
    placeHolder: vscode.l10n.t('Which recipe?'),
    matchOnDescription: true,
    matchOnDetail: true,
  })) as RecipeItem | undefined;
}

interface Group {
  readonly heading: string;
  readonly items: readonly RecipeItem[];
}

/** The recipe in front, those beside the model, those of the workspace, the templates; each once. */
async function recipeItems(context: Context, model: vscode.Uri | undefined): Promise<Group[]> {
  const front = recipeInFront();
  const own = model ? await context.backend.request('recipesFor', { model: model.fsPath }) : [];
  const templates = await context.backend.request('templates', null);
  const recipe = (item: FileItem): RecipeItem => ({ ...item, template: false });
  const groups: Group[] = [
    {
      heading: vscode.l10n.t('this model'),
      items: own.map((file) => recipe(fileItem(vscode.Uri.file(file)))),
    },
    { heading: vscode.l10n.t('open'), items: front ? [recipe(fileItem(front))] : [] },
    {
      heading: vscode.l10n.t('workspace'),
      items: (await fileItems('**/*.whittle.{yaml,yml}')).map(recipe),
    },
    {
      heading: vscode.l10n.t('templates'),
      items: templates.map(({ title, summary, path }) => ({
        label: title,
        detail: summary,
        uri: vscode.Uri.file(path),
        template: true,
      })),
    },
  ];
  return eachOnce(groups);
}

function eachOnce(groups: readonly Group[]): Group[] {
  const seen = new Set<string>();
  const isNew = ({ uri }: RecipeItem) => seen.size < seen.add(uri.toString()).size;
  return groups.map(({ heading, items }) => ({ heading, items: items.filter(isNew) }));
}

const withHeading = ({ heading, items }: Group): (RecipeItem | vscode.QuickPickItem)[] =>
  items.length === 0
    ? []
    : [{ label: heading, kind: vscode.QuickPickItemKind.Separator }, ...items];

async function modelOf(recipe: RecipeItem): Promise<vscode.Uri | 'own' | 'cancelled'> {
  if (!recipe.template) {
    const own = vscode.l10n.t('The model that the recipe names');
    const another = vscode.l10n.t('Another model…');
    const choice = await vscode.window.showQuickPick([own, another], {
      placeHolder: vscode.l10n.t('Apply {0} to', recipe.label),
    });
    if (!choice) return 'cancelled';
    if (choice === own) return 'own';
  }
  return (await pickModel(vscode.l10n.t('Which model?'))) ?? 'cancelled';
}
