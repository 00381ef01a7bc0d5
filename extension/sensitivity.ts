import * as vscode from 'vscode';
import type { HostRequests } from '../language/protocol';
import type { Context } from './context';
import { isCancellation } from './failures';
import { hasSamples } from './recipes/data';
import { protocolUri } from './recipes/uris';
import { ServerJob } from './serverJob';

type Question = HostRequests['sensitivity'][0];

/**
 * Measures what a step does to one layer at a time; every view of the recipe hears of the progress and the result. Does
 * nothing where the user is asked for samples and names none, or cancels.
 */
export async function measureSensitivity(
  context: Context,
  document: vscode.TextDocument,
  question: Question,
): Promise<void> {
  const { analyses, backend, views } = context;
  const recipe = document.uri;
  const stop = new AbortController();
  const job = new ServerJob(backend, (progress) => views.sendTo(recipe, 'analysing', progress));
  const cancel = () => {
    stop.abort();
    job.cancel();
  };
  if (!analyses.begin(recipe, cancel)) {
    job.dispose();
    throw new Error(vscode.l10n.t('Sensitivity is being measured already.'));
  }
  try {
    if (!(await hasSamples(context, document, question.byMetric)) || stop.signal.aborted) return;
    const request = { recipe: protocolUri(recipe), ...question, token: job.token };
    const found = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Measuring sensitivity') },
      () => backend.request('sensitivity', request),
    );
    analyses.keep(recipe, found);
    views.sendTo(recipe, 'analysed', found);
  } catch (error) {
    if (!isCancellation(error)) throw error;
  } finally {
    job.dispose();
    analyses.end(recipe);
    views.sendTo(recipe, 'analysing', null);
  }
}
