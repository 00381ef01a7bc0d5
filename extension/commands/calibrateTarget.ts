import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import type { Calibrated, CalibrateRequest } from '../../language/protocol';
import type { Context } from '../context';
import { isCancellation, showFailure } from '../failures';
import { ServerJob } from '../serverJob';
import { browseFor, fileItems } from './pick';

type Device = CalibrateRequest['device'];

/** Fits a profile to a table of measurements of a device, or measures this machine; shows costs for it when asked to. */
export const calibrateTargetCommand = (context: Context) => async () => {
  const device = await chooseDevice(context);
  if (device === undefined) return;
  const calibrated = await withProgress(context, device);
  if (calibrated) await offer(context, calibrated);
};

/** Null: this machine. Undefined: nobody chose. */
async function chooseDevice({ target, backend }: Context): Promise<Device | undefined> {
  const thisMachine = {
    label: vscode.l10n.t('This machine'),
    detail: vscode.l10n.t(
      'Times every layer of some small networks in ONNX Runtime; takes a minute',
    ),
    id: undefined,
  };
  const others = (await target.all(backend))
    .filter(({ kind }) => kind === 'mobile')
    .map(({ id, title, basis }) => ({ label: title, description: id, detail: basis, id }));
  const heading = {
    label: vscode.l10n.t('start from the profile of a device'),
    kind: vscode.QuickPickItemKind.Separator,
    id: undefined,
  };
  const choice = await vscode.window.showQuickPick([thisMachine, heading, ...others], {
    title: vscode.l10n.t('Calibrate Target'),
    placeHolder: vscode.l10n.t('What was measured?'),
    matchOnDescription: true,
    ignoreFocusOut: true,
  });
  if (!choice) return undefined;
  if (choice.id === undefined) return null;
  const table = await chooseTable();
  return table === undefined ? undefined : { target: choice.id, table, output: freeName(table) };
}

async function chooseTable(): Promise<string | undefined> {
  const title = vscode.l10n.t('A table of measurements: model, latency_ms in each row');
  const browse = { label: vscode.l10n.t('$(folder-opened) Browse…'), uri: undefined };
  const choice = await vscode.window.showQuickPick([...(await fileItems('**/*.csv')), browse], {
    title: vscode.l10n.t('Calibrate Target'),
    placeHolder: title,
    matchOnDescription: true,
    ignoreFocusOut: true,
  });
  if (!choice) return undefined;
  return (choice.uri ?? (await browseFor(title, { CSV: ['csv'] })))?.fsPath;
}

/** Beside the table and called like it; a profile that is there is left alone. */
function freeName(table: string): string {
  const base = path.join(path.dirname(table), path.basename(table, path.extname(table)));
  for (let count = 1; ; count++) {
    const file = `${base}${count === 1 ? '' : `-${count}`}.target.yaml`;
    if (!existsSync(file)) return file;
  }
}

/** Answers nothing when it failed or was cancelled. */
function withProgress({ backend, log }: Context, device: Device): Thenable<Calibrated | undefined> {
  const options = {
    location: vscode.ProgressLocation.Notification,
    title: vscode.l10n.t('Calibrating'),
    cancellable: true,
  };
  return vscode.window.withProgress(options, async (bar, cancellation) => {
    const job = new ServerJob(backend, ({ detail }) => bar.report({ message: detail }));
    const listening = vscode.Disposable.from(job, cancellation.onCancellationRequested(job.cancel));
    try {
      return await backend.request('calibrate', { device, token: job.token });
    } catch (error) {
      if (!isCancellation(error)) showFailure(log, error);
      return undefined;
    } finally {
      listening.dispose();
    }
  });
}

async function offer({ target }: Context, { target: made, file }: Calibrated): Promise<void> {
  const show = vscode.l10n.t('Show Costs for It');
  const open = vscode.l10n.t('Open Profile');
  const choice = await vscode.window.showInformationMessage(
    vscode.l10n.t('{0}: {1}', made.title, made.basis),
    show,
    open,
  );
  if (choice === show) target.set(made.id);
  if (choice === open) await vscode.window.showTextDocument(vscode.Uri.file(file));
}
