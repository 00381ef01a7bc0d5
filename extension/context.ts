import type * as vscode from 'vscode';
import type { Analyses } from './analyses';
import type { Backend } from './backend';
import type { ViewMemories } from './memory';
import type { UnsavedRecipes } from './recipes/unsaved';
import type { Runs } from './runs';
import type { TargetChoice } from './target';
import type { Underway } from './underway';
import type { Views } from './views/views';

/** What the parts of the extension share; made once, in `main.ts`. */
export interface Context {
  readonly extensionUri: vscode.Uri;
  readonly log: vscode.LogOutputChannel;
  readonly backend: Backend;
  readonly target: TargetChoice;
  readonly memories: ViewMemories;
  readonly unsaved: UnsavedRecipes;
  readonly runs: Runs;
  readonly analyses: Analyses;
  /** Captures of activations under way. */
  readonly captures: Underway;
  readonly views: Views;
}
