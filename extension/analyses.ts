import type * as vscode from 'vscode';
import type { StepSensitivity } from '../language/protocol';
import { Underway } from './underway';

/** The sensitivities measured in this session: those under way, and the last of each recipe. */
export class Analyses extends Underway {
  readonly #last = new Map<string, StepSensitivity>();

  keep(recipe: vscode.Uri, found: StepSensitivity): void {
    this.#last.set(recipe.path, found);
  }

  of(recipe: vscode.Uri): StepSensitivity | undefined {
    return this.#last.get(recipe.path);
  }
}
