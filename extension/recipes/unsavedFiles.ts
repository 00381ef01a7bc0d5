import * as vscode from 'vscode';
import type { UnsavedRecipe, UnsavedRecipes } from './unsaved';
import { fileUri, UNSAVED_SCHEME } from './uris';

/**
 * The real file system, except that unsaved recipes are there already, and stay out of the real one until the user, and not
 * auto save, saves them. VS Code treats them as any text file: dirty once changed, with undo, revert and hot exit, and in
 * one tab. (`untitled:` documents are dirty from the start, and the workbench opens a text tab for each dirty one that it
 * does not see in a text editor.)
 */
class UnsavedFiles implements vscode.FileSystemProvider {
  readonly #changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  readonly onDidChangeFile = this.#changed.event;

  constructor(
    private readonly recipes: UnsavedRecipes,
    private readonly savedByUser: (uri: vscode.Uri) => boolean,
  ) {}

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const recipe = await this.#unsaved(uri);
    if (!recipe) return vscode.workspace.fs.stat(fileUri(uri));
    const { text, changed } = recipe;
    return {
      type: vscode.FileType.File,
      ctime: changed,
      mtime: changed,
      size: encode(text).length,
    };
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    const recipe = await this.#unsaved(uri);
    return recipe ? encode(recipe.text) : vscode.workspace.fs.readFile(fileUri(uri));
  }

  async writeFile(uri: vscode.Uri, content: Uint8Array): Promise<void> {
    if ((await this.#unsaved(uri)) && !this.savedByUser(uri)) {
      await this.recipes.keep(uri, new TextDecoder().decode(content));
    } else {
      await vscode.workspace.fs.writeFile(fileUri(uri), content);
      await this.recipes.forget(uri);
    }
  }

  readDirectory(uri: vscode.Uri): Thenable<[string, vscode.FileType][]> {
    return vscode.workspace.fs.readDirectory(fileUri(uri));
  }

  createDirectory(uri: vscode.Uri): Thenable<void> {
    return vscode.workspace.fs.createDirectory(fileUri(uri));
  }

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined);
  }

  delete(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  async #unsaved(uri: vscode.Uri): Promise<UnsavedRecipe | undefined> {
    const recipe = this.recipes.get(uri);
    return recipe && !(await exists(fileUri(uri))) ? recipe : undefined;
  }
}

export function registerUnsavedFiles(recipes: UnsavedRecipes): vscode.Disposable {
  const reasons = new Map<string, vscode.TextDocumentSaveReason>();
  const files = new UnsavedFiles(
    recipes,
    (uri) => reasons.get(uri.toString()) === vscode.TextDocumentSaveReason.Manual,
  );
  return vscode.Disposable.from(
    vscode.workspace.onWillSaveTextDocument(({ document, reason }) => {
      if (document.uri.scheme === UNSAVED_SCHEME) reasons.set(document.uri.toString(), reason);
    }),
    vscode.workspace.registerFileSystemProvider(UNSAVED_SCHEME, files, {
      isCaseSensitive: process.platform === 'linux',
    }),
  );
}

export const exists = (uri: vscode.Uri) =>
  vscode.workspace.fs.stat(uri).then(
    () => true,
    () => false,
  );

const encode = (text: string) => new TextEncoder().encode(text);
