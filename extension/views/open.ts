import path from 'node:path';
import * as vscode from 'vscode';
import type { Session } from '../../language/protocol';
import type { Context } from '../context';
import { webviewHtml, webviewOptions } from './html';
import type { View } from './views';
import { WebviewSession, type Handlers } from './session';

/** Fills a panel with our page and connects it. */
export function openView(
  context: Context,
  kind: Session['view'],
  document: vscode.Uri,
  panel: vscode.WebviewPanel,
  handlers: Handlers,
): WebviewSession {
  const { webview } = panel;
  const session = new WebviewSession(
    webview,
    {
      ready: () => greeting(context, kind, document),
      keyboard: ({ here }) => {
        if (here) context.views.keyboardCame(view);
        else context.views.keyboardLeft(view);
        return null;
      },
      ...handlers,
    },
    context.log,
  );
  const view: View = { kind, document, panel, session };
  context.views.add(view);
  webview.options = webviewOptions(context.extensionUri);
  webview.html = webviewHtml(webview, context.extensionUri);
  return session;
}

function greeting(context: Context, kind: Session['view'], document: vscode.Uri): Session {
  const sensitivity = context.analyses.of(document);
  return {
    view: kind,
    title: path.posix.basename(document.path),
    target: context.target.current,
    memory: context.memories.of(document),
    ...(sensitivity && { sensitivity }),
    strings: localisedStrings(),
  };
}

/** The bundle of the display language; entries with comments carry the text inside. */
function localisedStrings(): Record<string, string> {
  const bundle: Record<string, string | { readonly message: string }> = vscode.l10n.bundle ?? {};
  return Object.fromEntries(
    Object.entries(bundle).map(([key, text]) => [
      key,
      typeof text === 'string' ? text : text.message,
    ]),
  );
}
