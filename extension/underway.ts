import type * as vscode from 'vscode';

/** What is under way for recipes, at most one for each; by path, which saving keeps. */
export class Underway {
  readonly #cancel = new Map<string, () => void>();

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
}
