import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { COMMAND, VIEW } from '../../extension/ids';
import {
  activeInput,
  closeAll,
  copyOfSample,
  customEditorInFront,
  eventually,
  inWorkspace,
} from './helpers';

describe('editors', () => {
  afterEach(closeAll);

  it('opens a model in the viewer', async () => {
    const model = await copyOfSample('shapes-resnet.onnx', 'viewed.onnx');
    await vscode.commands.executeCommand('vscode.open', model);
    await customEditorInFront(VIEW.viewer, 'viewed.onnx');
  });

  it('opens a recipe as text, and the designer beside it', async () => {
    await copyOfSample('shapes-resnet.onnx', 'beside.onnx');
    const recipe = inWorkspace('copies/beside.whittle.yaml');
    const text = 'version: 1\nmodel: ./beside.onnx\n';
    await vscode.workspace.fs.writeFile(recipe, new TextEncoder().encode(text));
    await vscode.commands.executeCommand('vscode.open', recipe);
    await eventually('the text', () => activeInput() instanceof vscode.TabInputText);
    await vscode.commands.executeCommand(COMMAND.openDesignerToSide);
    await customEditorInFront(VIEW.designer, 'beside.whittle.yaml');
    assert.equal(vscode.window.tabGroups.all.length, 2);
  });

  it('opens the recipe beside a model rather than a new one', async () => {
    const model = await copyOfSample('shapes-resnet.onnx', 'known.onnx');
    const recipe = inWorkspace('copies/mine.whittle.yaml');
    const text = 'version: 1\nmodel: ./known.onnx\n';
    await vscode.workspace.fs.writeFile(recipe, new TextEncoder().encode(text));
    await vscode.commands.executeCommand(COMMAND.openDesigner, model);
    await customEditorInFront(VIEW.designer, 'mine.whittle.yaml');
  });

  it('opens a model as ONNX text', async () => {
    const model = await copyOfSample('shapes-resnet.onnx', 'read.onnx');
    await vscode.commands.executeCommand(COMMAND.openOnnxText, model);
    const document = await eventually('the text', () => {
      const open = vscode.window.activeTextEditor?.document;
      return open?.uri.scheme === 'onnx-text' ? open : undefined;
    });
    assert.equal(document.languageId, 'onnx-text');
    assert.match(document.getText(), /= Conv\(/);
  });
});
