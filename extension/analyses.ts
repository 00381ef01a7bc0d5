import type * as vscode from 'vscode';
import type { StepSensitivity } from '../language/protocol';

/** The sensitivities measured in this session: those under way, and the last of each recipe; by path, which saving keeps. */
export class Analyses {
  readonly #cancel = new Map<string, () => void>();
  readonly #last = new Map<string, StepSensitivity>();

  /** False when one is under way for this recipe. */
  begin(recipe: vscode.Uri, cancel: () => void): boolean {
    if (this.#cancel.has(recipe.path)) return false;
    this.#cancel.set(recipe.path, cancel);
    return true;
  }

  end(recipe: vscode.Uri): void {
    this.#cancel.delete(recipe.path);
  }

  cancel(recipe: vscode.Uri): void {
    this.#cancel.get(recipe.path)?.();
  }

  keep(recipe: vscode.Uri, found: StepSensitivity): void {
    this.#last.set(recipe.path, found);
  }

  of(recipe: vscode.Uri): StepSensitivity | undefined {
    return this.#last.get(recipe.path);
  }
}
