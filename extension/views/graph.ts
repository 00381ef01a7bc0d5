import * as vscode from 'vscode';
import type { Design, HostRequests, ServerRequests } from '../../language/protocol';
import type { Context } from '../context';
import { showOnnxText } from '../onnxText';
import { protocolUri } from '../recipes/uris';
import type { Handlers } from './session';

/** The server's requests about one document; the view leaves the document out. */
type About = 'node' | 'roofline' | 'tensor' | 'places' | 'gain';

export interface GraphHandlers {
  readonly handlers: Handlers;
  /** The model that was drawn last. */
  model(): string | undefined;
}

/** What the designer and the viewer answer alike: everything about the graph that they show. */
export function graphHandlers(
  { backend, target, memories }: Context,
  uri: vscode.Uri,
): GraphHandlers {
  const document = protocolUri(uri);
  let last: Design | undefined;
  const about =
    <M extends About>(method: M) =>
    (params: HostRequests[M][0], token: vscode.CancellationToken) =>
      backend.request(method, { ...params, document } as ServerRequests[M][0], token);
  return {
    model: () => last?.model.path,
    handlers: {
      passes: (_, token) => backend.request('passes', null, token),
      targets: () => target.all(backend),
      design: async (params, token) => {
        last = await backend.request('design', { ...params, document }, token);
        return last;
      },
      node: about('node'),
      roofline: about('roofline'),
      tensor: about('tensor'),
      places: about('places'),
      gain: about('gain'),
      setTarget: ({ target: chosen }) => {
        target.set(chosen);
        return null;
      },
      remember: (memory) => {
        memories.keep(uri, memory);
        return null;
      },
    },
  };
}

/** Opens the text of a view's model beside it, at a node if one is named. */
export async function openText(
  context: Context,
  model: string | undefined,
  node: string | undefined,
): Promise<void> {
  if (!model) throw new Error(vscode.l10n.t('The model is not open yet'));
  await showOnnxText(context, vscode.Uri.file(model), { node, column: vscode.ViewColumn.Beside });
}
