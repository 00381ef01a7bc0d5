import type * as vscode from 'vscode';
import { Underway } from './underway';

/** The applications of recipes in this session: those under way, and what the finished ones wrote. */
export class Runs extends Underway {
  readonly #outputs = new Map<string, string>();
  #last: string | undefined;

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
