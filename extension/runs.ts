import type * as vscode from 'vscode';

/** The applications of recipes in this session: those under way, and what the finished ones wrote; by path, which saving keeps. */
export class Runs {
  readonly #cancel = new Map<string, () => void>();
  readonly #outputs = new Map<string, string>();
  #last: string | undefined;

  /** False when this recipe is being applied already. */
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

  wrote(recipe: vscode.Uri, output: string): void {
    this.#outputs.set(recipe.path, output);
    this.#last = output;
  }

  outputOf(recipe: vscode.Uri): string | undefined {
    return this.#outputs.get(recipe.path);
  }

  get lastOutput(): string | undefined {
    return this.#last;
  }
}
