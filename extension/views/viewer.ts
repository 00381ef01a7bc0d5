import * as vscode from 'vscode';
import type { Context } from '../context';
import { VIEW } from '../ids';
import { editRecipe } from '../recipes/edit';
import { openDesigner } from '../recipes/open';
import { graphHandlers, openText } from './graph';
import { openView } from './open';
import type { Handlers } from './session';

/** The same graph, read-only, for a model that was opened by itself. */
export function registerViewer(context: Context): vscode.Disposable {
  return vscode.window.registerCustomEditorProvider(
    VIEW.viewer,
    {
      openCustomDocument: (uri) => ({ uri, dispose: () => undefined }),
      resolveCustomEditor: (document, panel) => {
        openView(context, 'viewer', document.uri, panel, handlersOf(context, document.uri, panel));
      },
    },
    { supportsMultipleEditorsPerDocument: true },
  );
}

function handlersOf(context: Context, model: vscode.Uri, panel: vscode.WebviewPanel): Handlers {
  const graph = graphHandlers(context, model);
  return {
    ...graph.handlers,
    edit: async (edit) => {
      const view = context.memories.of(model) ?? undefined;
      const recipe = await openDesigner(context, model, { column: panel.viewColumn, view });
      if (!recipe) return null;
      await editRecipe(context.backend, await vscode.workspace.openTextDocument(recipe), edit);
      return null;
    },
    open: async (request) => {
      switch (request.what) {
        case 'designer':
          await openDesigner(context, model, { column: panel.viewColumn, view: request.view });
          return null;
        case 'onnxText':
          await openText(context, model.fsPath, request.node);
          return null;
        case 'recipe':
        case 'output':
          throw new Error(
            vscode.l10n.t('A model that was opened by itself has no {0}', request.what),
          );
      }
    },
  };
}
