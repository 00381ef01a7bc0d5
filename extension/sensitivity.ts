import * as vscode from 'vscode';
import type { HostRequests } from '../language/protocol';
import type { Context } from './context';
import { measured } from './measuring';
import { protocolUri } from './recipes/uris';

type Question = HostRequests['sensitivity'][0];

/** Measures what a step does to one layer at a time; every view of the recipe hears of the result. See `measured`. */
export async function measureSensitivity(
  context: Context,
  document: vscode.TextDocument,
  question: Question,
): Promise<void> {
  const { analyses, backend, views } = context;
  const recipe = document.uri;
  await measured(context, document, {
    underway: analyses,
    event: 'analysing',
    title: vscode.l10n.t('Measuring sensitivity'),
    already: vscode.l10n.t('Sensitivity is being measured already.'),
    byMetric: question.byMetric,
    ask: async (token) => {
      const request = { recipe: protocolUri(recipe), ...question, token };
      const found = await backend.request('sensitivity', request);
      analyses.keep(recipe, found);
      views.sendTo(recipe, 'analysed', found);
    },
  });
}
