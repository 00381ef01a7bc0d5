import path from 'node:path';
import * as vscode from 'vscode';
import type { TargetInfo } from '../../language/protocol';
import type { Context } from '../context';
import { fileItems } from './pick';

interface TargetItem extends vscode.QuickPickItem {
  readonly id?: string;
}

export const selectTargetCommand = (context: Context) => async () => {
  const choice = await vscode.window.showQuickPick<TargetItem>(items(context), {
    placeHolder: vscode.l10n.t('Show costs for'),
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (choice?.id) context.target.set(choice.id);
};

/** Those that the server names, by kind, and the profiles that lie in the workspace. */
async function items({ target, backend }: Context): Promise<TargetItem[]> {
  const targets = await target.all(backend);
  const kinds = [...new Set(targets.map(({ kind }) => kind))];
  const named = kinds.flatMap((kind) => [
    { label: kind, kind: vscode.QuickPickItemKind.Separator },
    ...targets.filter((each) => each.kind === kind).map((each) => item(each, target.current)),
  ]);
  const known = new Set(targets.map(({ id }) => id));
  const files = (await fileItems('**/*.target.yaml'))
    .filter(
      ({ uri }) =>
        !known.has(uri.fsPath) && !known.has(path.posix.basename(uri.path, '.target.yaml')),
    )
    .map(({ label, description, uri }) => ({
      label,
      description: description ?? '',
      id: uri.fsPath,
    }));
  if (files.length === 0) return named;
  const heading = {
    label: vscode.l10n.t('profiles in the workspace'),
    kind: vscode.QuickPickItemKind.Separator,
  };
  return [...named, heading, ...files];
}

const item = ({ id, title, basis }: TargetInfo, current: string): TargetItem => ({
  label: id === current ? `$(check) ${title}` : title,
  description: id,
  detail: basis,
  id,
});
