import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { actionCommand, COMMAND, LANGUAGE, VIEW } from '../../extension/ids';
import { DESIGNER_ACTIONS } from '../../language/protocol';
import { inWorkspace } from './helpers';

interface Manifest {
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly title: string }[];
    readonly customEditors: readonly { readonly viewType: string }[];
    readonly languages: readonly { readonly id: string }[];
  };
}

describe('contributions', () => {
  const extension = vscode.extensions.getExtension<unknown>('whittle.whittle');
  const { contributes } = extension?.packageJSON as Manifest;
  const commands = [...Object.values(COMMAND), ...DESIGNER_ACTIONS.map(actionCommand)].sort();

  it('declares every command, view and language that the code names, and no other', () => {
    assert.deepEqual(contributes.commands.map(({ command }) => command).sort(), commands);
    const views = contributes.customEditors.map(({ viewType }) => viewType);
    assert.deepEqual(views.sort(), Object.values(VIEW).sort());
    const languages = contributes.languages.map(({ id }) => id);
    assert.deepEqual(languages.sort(), Object.values(LANGUAGE).sort());
  });

  it('gives every command a title in words', () => {
    for (const { command, title } of contributes.commands) {
      assert.doesNotMatch(title, /^%/, command);
    }
  });

  it('registers every command', async () => {
    await extension?.activate();
    const registered = new Set(await vscode.commands.getCommands(true));
    assert.deepEqual(
      commands.filter((command) => !registered.has(command)),
      [],
    );
  });

  const names: readonly (readonly [file: string, language: string])[] = [
    ['a.whittle.yaml', LANGUAGE.recipe],
    ['a.target.yaml', LANGUAGE.target],
    ['a.yaml', 'yaml'],
  ];
  for (const [name, language] of names) {
    it(`reads ${name} as ${language}`, async () => {
      const uri = inWorkspace('names', name);
      await vscode.workspace.fs.writeFile(uri, new Uint8Array());
      const document = await vscode.workspace.openTextDocument(uri);
      assert.equal(document.languageId, language);
    });
  }
});
