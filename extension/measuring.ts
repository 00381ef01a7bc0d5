import * as vscode from 'vscode';
import type { Context } from './context';
import { isCancellation } from './failures';
import { hasSamples } from './recipes/data';
import { ServerJob } from './serverJob';
import type { Underway } from './underway';

interface Measuring<T> {
  readonly underway: Underway;
  /** What views of the recipe hear of the progress by; null at the end. */
  readonly event: 'analysing' | 'capturing';
  readonly title: string;
  /** Said where this is being measured already. */
  readonly already: string;
  readonly byMetric: boolean;
  /** @param token that the server knows the request by */
  readonly ask: (token: string) => Promise<T>;
}

/** Measures something of a recipe on its samples. Null where the user is asked for samples and names none, or cancels. */
export async function measured<T>(
  context: Context,
  document: vscode.TextDocument,
  { underway, event, title, already, byMetric, ask }: Measuring<T>,
): Promise<T | null> {
  const { backend, views } = context;
  const recipe = document.uri;
  const stop = new AbortController();
  const job = new ServerJob(backend, (progress) => views.sendTo(recipe, event, progress));
  const cancel = () => {
    stop.abort();
    job.cancel();
  };
  if (!underway.begin(recipe, cancel)) {
    job.dispose();
    throw new Error(already);
  }
  try {
    if (!(await hasSamples(context, document, byMetric)) || stop.signal.aborted) return null;
    const location = vscode.ProgressLocation.Window;
    return await vscode.window.withProgress({ location, title }, () => ask(job.token));
  } catch (error) {
    if (isCancellation(error)) return null;
    throw error;
  } finally {
    job.dispose();
    underway.end(recipe);
    views.sendTo(recipe, event, null);
  }
}
