import path from 'node:path';
import * as vscode from 'vscode';
import type { TargetInfo } from '../language/protocol';
import type { Backend } from './backend';
import { COMMAND, LANGUAGE, VIEW } from './ids';

const CHOSEN = 'target';

/**
 * The target whose numbers are shown: what was chosen in this workspace, else the setting. It lives in the status bar
 * while something of ours is in front.
 */
export class TargetChoice implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<string>();
  readonly #item = vscode.window.createStatusBarItem(
    'whittle.target',
    vscode.StatusBarAlignment.Right,
    100,
  );
  readonly #subscriptions: { dispose(): unknown }[] = [];
  /** Titles of the targets that the server has named so far. */
  readonly #known = new Map<string, TargetInfo>();

  readonly onChanged = this.#changed.event;

  constructor(private readonly state: vscode.Memento) {
    this.#item.name = vscode.l10n.t('Whittle Target');
    this.#item.command = COMMAND.selectTarget;
    this.#subscriptions.push(
      this.#item,
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('whittle.target')) this.#settingChanged();
      }),
      vscode.window.tabGroups.onDidChangeTabs(() => this.#draw()),
      vscode.window.tabGroups.onDidChangeTabGroups(() => this.#draw()),
      vscode.window.onDidChangeActiveTextEditor(() => this.#draw()),
    );
    this.#draw();
  }

  get current(): string {
    return this.state.get<string>(CHOSEN) ?? setting();
  }

  set(target: string): void {
    if (target === this.current) return;
    void this.state.update(CHOSEN, target);
    this.#tell();
  }

  /** The targets to choose from, those of the workspace included. */
  async all(backend: Backend): Promise<readonly TargetInfo[]> {
    const targets = await backend.request('targets', null);
    for (const target of targets) this.#known.set(target.id, target);
    this.#draw();
    return targets;
  }

  dispose(): void {
    vscode.Disposable.from(...this.#subscriptions).dispose();
  }

  /** The newest wish counts: a changed setting replaces what was chosen before. */
  #settingChanged(): void {
    void this.state.update(CHOSEN, undefined);
    this.#tell();
  }

  #tell(): void {
    this.#draw();
    this.#changed.fire(this.current);
  }

  #draw(): void {
    const known = this.#known.get(this.current);
    this.#item.text = `$(chip) ${known?.title ?? path.basename(this.current)}`;
    this.#item.tooltip = known
      ? vscode.l10n.t(
          'Costs are shown for {0} ({1}). Click to choose another target.',
          known.title,
          known.basis,
        )
      : vscode.l10n.t('Costs are shown for this target. Click to choose another.');
    if (somethingOfOursInFront()) this.#item.show();
    else this.#item.hide();
  }
}

const setting = () => vscode.workspace.getConfiguration('whittle').get<string>('target', '');

function somethingOfOursInFront(): boolean {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const views: readonly string[] = Object.values(VIEW);
  if (input instanceof vscode.TabInputCustom) return views.includes(input.viewType);
  const language = vscode.window.activeTextEditor?.document.languageId;
  return language === LANGUAGE.recipe || language === LANGUAGE.onnxText;
}
