import * as vscode from 'vscode';
import type { HostRequests, NodeActivations } from '../language/protocol';
import type { Context } from './context';
import { isCancellation } from './failures';
import { hasSamples } from './recipes/data';
import { protocolUri } from './recipes/uris';
import { ServerJob } from './serverJob';

type Question = HostRequests['activations'][0];

/**
 * Measures what goes in and out of a node; every view of the recipe hears of the progress. Null where the user is asked for
 * samples and names none, or cancels.
 */
export async function measureActivations(
  context: Context,
  recipe: vscode.TextDocument,
  question: Question,
): Promise<NodeActivations | null> {
  const { captures, backend, views } = context;
  const { uri } = recipe;
  const stop = new AbortController();
  const job = new ServerJob(backend, (progress) => views.sendTo(uri, 'capturing', progress));
  const cancel = () => {
    stop.abort();
    job.cancel();
  };
  if (!captures.begin(uri, cancel)) {
    job.dispose();
    throw new Error(vscode.l10n.t('Activations are being measured already.'));
  }
  try {
    if (!(await hasSamples(context, recipe, false)) || stop.signal.aborted) return null;
    const request = { document: protocolUri(uri), ...question, token: job.token };
    return await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Measuring activations') },
      () => backend.request('activations', request),
    );
  } catch (error) {
    if (isCancellation(error)) return null;
    throw error;
  } finally {
    job.dispose();
    captures.end(uri);
    views.sendTo(uri, 'capturing', null);
  }
}
