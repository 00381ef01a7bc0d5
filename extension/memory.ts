import type * as vscode from 'vscode';
import type { ViewMemory } from '../language/protocol';

const KEY = 'views';
const MOST = 100;

type Entries = readonly (readonly [document: string, memory: ViewMemory])[];

/** What people had open and where they stood, by document, for the next time; the oldest are forgotten. */
export class ViewMemories {
  constructor(private readonly state: vscode.Memento) {}

  of(document: vscode.Uri): ViewMemory | null {
    return this.#entries().find(([key]) => key === document.toString())?.[1] ?? null;
  }

  keep(document: vscode.Uri, memory: ViewMemory): void {
    const key = document.toString();
    const others = this.#entries().filter(([other]) => other !== key);
    void this.state.update(KEY, [[key, memory], ...others].slice(0, MOST));
  }

  /** An untitled document got a file. */
  move(from: vscode.Uri, to: vscode.Uri): void {
    const memory = this.of(from);
    if (memory) this.keep(to, memory);
  }

  #entries(): Entries {
    return this.state.get<Entries>(KEY, []);
  }
}
