/** The strings that translators need: what `vscode.l10n.t` is called with, and the webview's by their keys. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { ROOT } from './project.mjs';

export const BUNDLE = path.join(ROOT, 'l10n/bundle.l10n.json');

/** The bundle as it should be, as text. */
export function l10nBundle() {
  const entries = [...extensionStrings(), ...webviewStrings()].sort(([a], [b]) => (a < b ? -1 : 1));
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

/** The message is the key. */
function extensionStrings() {
  const found = [];
  for (const file of sources('extension')) {
    visit(parse(file), (node) => {
      if (!ts.isCallExpression(node) || node.expression.getText() !== 'vscode.l10n.t') return;
      const [message] = node.arguments;
      if (!ts.isStringLiteralLike(message))
        throw new Error(`${file}: vscode.l10n.t needs a literal, not ${message.getText()}`);
      found.push([message.text, message.text]);
    });
  }
  return found;
}

function webviewStrings() {
  const found = [];
  visit(parse(path.join(ROOT, 'webview/english.ts')), (node) => {
    if (ts.isPropertyAssignment(node)) found.push([node.name.text, node.initializer.text]);
  });
  return found;
}

const sources = (folder) =>
  readdirSync(path.join(ROOT, folder), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(ROOT, folder, name));

const parse = (file) =>
  ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);

function visit(node, see) {
  see(node);
  node.forEachChild((child) => visit(child, see));
}
