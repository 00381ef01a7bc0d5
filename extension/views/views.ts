import type * as vscode from 'vscode';
import type { HostEvents, Session } from '../../language/protocol';
import type { WebviewSession } from './session';

export interface View {
  readonly kind: Session['view'];
  /** The recipe, the model or the report that it shows. */
  readonly document: vscode.Uri;
  readonly panel: vscode.WebviewPanel;
  readonly session: WebviewSession;
}

/** The open views, so that what happens elsewhere reaches them. */
export class Views {
  readonly #open = new Set<View>();
  #keyboard: View | undefined;

  add(view: View): void {
    this.#open.add(view);
    view.panel.onDidDispose(() => {
      this.#open.delete(view);
      this.keyboardLeft(view);
      view.session.dispose();
    });
  }

  /** The view in front, if there is one. */
  get active(): View | undefined {
    return [...this.#open].find(({ panel }) => panel.active);
  }

  keyboardCame(view: View): void {
    this.#keyboard = view;
  }

  keyboardLeft(view: View): void {
    if (this.#keyboard === view) this.#keyboard = undefined;
  }

  /** Whether keys go to a view of this document, and not to the palette, say. */
  hasKeyboard(document: vscode.Uri): boolean {
    return this.#keyboard?.document.toString() === document.toString();
  }

  send<N extends keyof HostEvents>(name: N, payload: HostEvents[N]): void {
    for (const view of this.#open) view.session.send(name, payload);
  }

  /** By path, which a recipe keeps when it is saved for the first time. */
  sendTo<N extends keyof HostEvents>(document: vscode.Uri, name: N, payload: HostEvents[N]): void {
    for (const view of this.#open) {
      if (view.document.path === document.path) view.session.send(name, payload);
    }
  }
}
