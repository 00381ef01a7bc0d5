import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import { isCancellation, showFailure } from './failures';
import type { Applied, DataReference } from '../language/protocol';
import type { Context } from './context';
import { COMMAND, VIEW } from './ids';
import { dataFor, pickData } from './recipes/data';
import { editRecipe } from './recipes/edit';
import { askingFor, type Job } from './recipes/job';
import { ServerJob } from './serverJob';

interface Output {
  readonly output: string;
  readonly overwrite: boolean;
}

/** Applies a recipe from the first question to the open report; failures are told here, so that nobody else need. */
export async function applyRecipe(context: Context, job: Job): Promise<void> {
  if (!(await isTrusted())) return;
  const data = await missingData(context, job);
  const destination = data && (await whereTo(context, job));
  if (!destination) return;
  const applied = await withProgress(context, job, destination, data);
  if (!applied) return;
  context.runs.wrote(job.recipe, applied.output);
  await openReport(applied.report);
  offerOutput(applied.output);
}

/** Nothing is written on behalf of a folder that the user does not trust. */
async function isTrusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) return true;
  const manage = vscode.l10n.t('Manage Trust');
  const choice = await vscode.window.showWarningMessage(
    vscode.l10n.t('Applying a recipe writes files, which needs a trusted workspace.'),
    manage,
  );
  if (choice === manage) await vscode.commands.executeCommand('workbench.trust.manage');
  return false;
}

/** Calibration data in place of what the recipe says; nothing where that is enough. */
interface Data {
  readonly calibration?: DataReference;
}

/**
 * Asks for the samples that a step needs and the recipe does not name; they are written into it. A template stays as it is,
 * and its made-up inputs only stand for samples of the user's. Undefined when nobody chose.
 */
async function missingData(context: Context, job: Job): Promise<Data | undefined> {
  const offer = await dataFor(context, job);
  if (offer.missing === null || (offer.madeUp && !job.template)) return {};
  const dataset = await pickData(context, job, offer, 'calibration');
  if (!dataset) return undefined;
  if (job.template) return { calibration: dataset };
  const document = await vscode.workspace.openTextDocument(job.recipe);
  await editRecipe(context.backend, document, { kind: 'data', use: 'calibration', dataset });
  return {};
}

/** An output that exists is asked about; where the folder cannot be written, another is asked for. */
async function whereTo(context: Context, job: Job): Promise<Output | undefined> {
  const { output, exists } = await context.backend.request('outputFor', askingFor(job));
  if (!(await isWritable(path.dirname(output)))) {
    return saveAs(path.join(homedir(), path.basename(output)));
  }
  if (!exists) return { output, overwrite: false };
  const overwrite = vscode.l10n.t('Overwrite');
  const elsewhere = vscode.l10n.t('Save As…');
  const choice = await vscode.window.showWarningMessage(
    vscode.l10n.t('{0} exists already.', path.basename(output)),
    { modal: true, detail: output },
    overwrite,
    elsewhere,
  );
  if (choice === elsewhere) return saveAs(output);
  return choice === overwrite ? { output, overwrite: true } : undefined;
}

/** The dialog asks about existing files by itself. */
async function saveAs(proposal: string): Promise<Output | undefined> {
  const chosen = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.file(proposal),
    filters: { ONNX: ['onnx'] },
    title: vscode.l10n.t('Write the compressed model to'),
  });
  return chosen && { output: chosen.fsPath, overwrite: true };
}

const isWritable = (folder: string) =>
  access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );

/** Answers what was written, or nothing when it failed or was cancelled. */
function withProgress(
  context: Context,
  job: Job,
  destination: Output,
  data: Data,
): Thenable<Applied | undefined> {
  const { backend, runs, views } = context;
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t('Applying {0}', path.posix.basename(job.recipe.path)),
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (bar, cancellation) => {
    let reached = 0;
    const applying = new ServerJob(backend, (progress) => {
      const increment = (progress.fraction - reached) * 100;
      reached = progress.fraction;
      bar.report({
        increment,
        message: [progress.phase, progress.detail].filter(Boolean).join(': '),
      });
      views.sendTo(job.recipe, 'progress', progress);
    });
    if (!runs.begin(job.recipe, applying.cancel)) {
      applying.dispose();
      void vscode.window.showInformationMessage(
        vscode.l10n.t('This recipe is being applied already.'),
      );
      return undefined;
    }
    const listening = vscode.Disposable.from(
      applying,
      cancellation.onCancellationRequested(applying.cancel),
    );
    const { token } = applying;
    try {
      return await backend.request('apply', { ...askingFor(job), ...destination, ...data, token });
    } catch (error) {
      if (!isCancellation(error)) showFailure(context.log, error);
      return undefined;
    } finally {
      listening.dispose();
      runs.end(job.recipe);
      views.sendTo(job.recipe, 'progress', null);
    }
  });
}

async function openReport(report: string): Promise<void> {
  const beside =
    vscode.window.tabGroups.activeTabGroup.activeTab?.input instanceof vscode.TabInputCustom;
  await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(report), VIEW.report, {
    viewColumn: beside ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active,
    preview: false,
  });
}

function offerOutput(output: string): void {
  const show = vscode.l10n.t('Reveal File');
  void vscode.window
    .showInformationMessage(vscode.l10n.t('{0} was written.', path.basename(output)), show)
    .then((choice) => {
      if (choice === show) void vscode.commands.executeCommand(COMMAND.revealOutput);
    });
}
