import * as vscode from 'vscode';
import { Analyses } from './analyses';
import { Backend } from './backend';
import { registerCommands } from './commands';
import type { Context } from './context';
import { showFailure } from './failures';
import { LANGUAGE } from './ids';
import { ViewMemories } from './memory';
import { registerOnnxText } from './onnxText';
import { followSaves } from './recipes/saved';
import { UnsavedRecipes } from './recipes/unsaved';
import { registerUnsavedFiles } from './recipes/unsavedFiles';
import { documentUri } from './recipes/uris';
import { Runs } from './runs';
import { openAtStart } from './start';
import { TargetChoice } from './target';
import { Underway } from './underway';
import { registerDesigner } from './views/designer';
import { registerReport } from './views/report';
import { registerViewer } from './views/viewer';
import { Views } from './views/views';

let backend: Backend | undefined;

export function activate(extension: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Whittle', { log: true });
  const target = new TargetChoice(extension.workspaceState);
  const memories = new ViewMemories(extension.workspaceState);
  const unsaved = new UnsavedRecipes(extension.workspaceState);
  backend = new Backend(extension.asAbsolutePath('dist/server.js'), log, async (send) => {
    await send('setTarget', { target: target.current });
    await unsaved.bind(send);
  });
  const context: Context = {
    extensionUri: extension.extensionUri,
    log,
    backend,
    target,
    unsaved,
    memories,
    runs: new Runs(),
    analyses: new Analyses(),
    captures: new Underway(),
    views: new Views(),
  };
  extension.subscriptions.push(
    log,
    target,
    backend,
    registerUnsavedFiles(unsaved),
    followSaves(memories, context.views),
    registerDesigner(context),
    registerViewer(context),
    registerReport(context),
    registerOnnxText(context),
    registerCommands(context),
    passOn(context, backend),
    startWhenNeeded(backend),
  );
  openAtStart(context);
}

/** Ends the server before the extension host ends. */
export function deactivate(): Promise<void> | undefined {
  return backend?.stop();
}

/** What happens in one part, told to the others. */
function passOn({ log, target, unsaved, views }: Context, server: Backend): vscode.Disposable {
  return vscode.Disposable.from(
    target.onChanged((chosen) => {
      views.send('target', { target: chosen });
      server
        .request('setTarget', { target: chosen })
        .catch((error: unknown) => showFailure(log, error));
    }),
    server.onChanged(({ document }) => views.sendTo(documentUri(document), 'changed', null)),
    server.onState((state) => {
      if (state === 'restarting' || state === 'ready') views.send('backend', { state });
      if (state === 'ready') void target.all(server); // the status bar names the target
    }),
    vscode.workspace.onDidOpenTextDocument((document) => {
      unsaved
        .bind((method, params) => server.request(method, params), document)
        .catch((error: unknown) => showFailure(log, error));
    }),
  );
}

/** Text of our languages needs the server; views ask it themselves. */
function startWhenNeeded(server: Backend): vscode.Disposable {
  const languages: readonly string[] = [LANGUAGE.recipe, LANGUAGE.onnxText, LANGUAGE.target];
  const consider = ({ languageId }: vscode.TextDocument) => {
    if (languages.includes(languageId)) server.start();
  };
  vscode.workspace.textDocuments.forEach(consider);
  return vscode.workspace.onDidOpenTextDocument(consider);
}
