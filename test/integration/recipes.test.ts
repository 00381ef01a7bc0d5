import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { COMMAND, VIEW } from '../../extension/ids';
import {
  activeInput,
  closeAll,
  copyOfSample,
  customEditorInFront,
  customTabs,
  eventually,
  exists,
  inWorkspace,
} from './helpers';

/** The document of an unsaved recipe, once its designer is open. */
async function openUnsaved(copy: string): Promise<vscode.TextDocument> {
  const model = await copyOfSample('shapes-resnet.onnx', copy);
  await vscode.commands.executeCommand(COMMAND.openDesigner, model);
  const { uri } = await customEditorInFront(VIEW.designer, copy.replace('.onnx', '.whittle.yaml'));
  return eventually('the document', () =>
    vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString()),
  );
}

async function append(document: vscode.TextDocument, text: string): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  edit.insert(document.uri, document.lineAt(document.lineCount - 1).range.end, text);
  await vscode.workspace.applyEdit(edit);
}

describe('a recipe that is not saved yet', () => {
  afterEach(closeAll);

  it('belongs to its model and is nowhere on disk', async () => {
    const document = await openUnsaved('one.onnx');
    assert.equal(document.languageId, 'whittle-recipe');
    assert.match(document.getText(), /^model: \.\/one\.onnx$/m);
    assert.equal(document.isDirty, false);
    assert.equal(await exists(inWorkspace('copies/one.whittle.yaml')), false);
  });

  it('names a model of any name', async () => {
    const document = await openUnsaved("it's #1: ünï.onnx");
    assert.match(document.getText(), /^model: "\.\/it's #1: ünï\.onnx"$/m);
  });

  it('turns dirty when changed, undoes and redoes', async () => {
    const document = await openUnsaved('two.onnx');
    const before = document.getText();
    await append(document, 'steps: []\n');
    const after = document.getText();
    await eventually('dirty', () => document.isDirty && activeTabIsDirty());
    await vscode.commands.executeCommand('undo');
    assert.equal(document.getText(), before);
    await vscode.commands.executeCommand('redo');
    assert.equal(document.getText(), after);
    await vscode.commands.executeCommand('workbench.action.files.revert');
    await eventually('reverted', () => document.getText() === before && !document.isDirty);
  });

  it('stays in one tab while it is dirty', async () => {
    const document = await openUnsaved('three.onnx');
    await append(document, 'steps: []\n');
    await new Promise((resolve) => setTimeout(resolve, 1500)); // the workbench looks after 800 ms
    assert.equal(vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).length, 1);
    await vscode.commands.executeCommand('workbench.action.files.revert');
  });

  it('becomes the file beside the model when saved, still in the designer', async () => {
    const document = await openUnsaved('four.onnx');
    await append(document, 'steps: []\n');
    const text = document.getText();
    await vscode.commands.executeCommand('workbench.action.files.save');
    const file = inWorkspace('copies/four.whittle.yaml');
    await eventually('the designer of the file', () => {
      const input = activeInput();
      return input instanceof vscode.TabInputCustom && input.uri.toString() === file.toString();
    });
    assert.equal(new TextDecoder().decode(await vscode.workspace.fs.readFile(file)), text);
    await eventually('one tab', () => customTabs(VIEW.designer).length === 1);
    assert.equal(vscode.window.tabGroups.all.flatMap(({ tabs }) => tabs).length, 1);
  });

  it('is kept by auto save, but not written beside the model', async () => {
    const files = vscode.workspace.getConfiguration('files');
    await files.update('autoSave', 'afterDelay', vscode.ConfigurationTarget.Workspace);
    try {
      const document = await openUnsaved('auto.onnx');
      await append(document, 'steps: []\n');
      const text = document.getText();
      await eventually('auto save', () => !document.isDirty);
      await closeAll();
      assert.equal(await exists(inWorkspace('copies/auto.whittle.yaml')), false);
      assert.equal((await openUnsaved('auto.onnx')).getText(), text);
      await vscode.commands.executeCommand('workbench.action.files.save');
      const file = inWorkspace('copies/auto.whittle.yaml');
      await eventually('the file', () => exists(file));
    } finally {
      await files.update('autoSave', undefined, vscode.ConfigurationTarget.Workspace);
    }
  });

  it('is found again for its model while it is open', async () => {
    const document = await openUnsaved('five.onnx');
    await vscode.commands.executeCommand(COMMAND.openDesigner, inWorkspace('copies/five.onnx'));
    await eventually('still one tab', () => customTabs(VIEW.designer).length === 1);
    const input = activeInput();
    assert(input instanceof vscode.TabInputCustom);
    assert.equal(input.uri.toString(), document.uri.toString());
  });

  it('takes another name where the first is taken', async () => {
    await copyOfSample('shapes-resnet.onnx', 'six.onnx');
    const taken = inWorkspace('copies/six.whittle.yaml');
    await vscode.workspace.fs.writeFile(taken, new TextEncoder().encode('version: 1\n'));
    await vscode.commands.executeCommand(COMMAND.newRecipe, inWorkspace('copies/six.onnx'));
    await customEditorInFront(VIEW.designer, 'six-2.whittle.yaml');
  });
});

const activeTabIsDirty = () => vscode.window.tabGroups.activeTabGroup.activeTab?.isDirty === true;
