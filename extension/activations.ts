import * as vscode from 'vscode';
import type { HostRequests, NodeActivations } from '../language/protocol';
import type { Context } from './context';
import { measured } from './measuring';
import { protocolUri } from './recipes/uris';

type Question = HostRequests['activations'][0];

/** Measures what goes in and out of a node; see `measured`. */
export const measureActivations = (
  context: Context,
  recipe: vscode.TextDocument,
  question: Question,
): Promise<NodeActivations | null> =>
  measured(context, recipe, {
    underway: context.captures,
    event: 'capturing',
    title: vscode.l10n.t('Measuring activations'),
    already: vscode.l10n.t('Activations are being measured already.'),
    byMetric: false,
    ask: (token) =>
      context.backend.request('activations', {
        document: protocolUri(recipe.uri),
        ...question,
        token,
      }),
  });
