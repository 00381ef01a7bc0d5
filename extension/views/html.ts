import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** Lets a webview load what the build made, and nothing else from anywhere. */
export function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extensionUri, 'dist')] };
}

export function webviewHtml(webview: vscode.Webview, extensionUri: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64url');
  const resource = (name: string) =>
    webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', name)).toString();
  const policy = [
    `default-src 'none'`,
    `script-src 'nonce-${nonce}'`,
    `style-src ${webview.cspSource} 'unsafe-inline'`, // the canvas places nodes with style attributes
    `font-src ${webview.cspSource}`,
    `img-src ${webview.cspSource} data:`,
  ].join('; ');
  return `<!doctype html>
<html lang="${escapeHtml(vscode.env.language)}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <meta http-equiv="Content-Security-Policy" content="${policy}" />
    <link rel="stylesheet" id="vscode-codicon-stylesheet" href="${resource('codicon.css')}" />
    <link rel="stylesheet" href="${resource('webview.css')}" />
    <title>Whittle</title>
  </head>
  <body>
    <div id="root"></div>
    <script nonce="${nonce}" src="${resource('webview.js')}"></script>
  </body>
</html>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (found) => ENTITIES[found] ?? found);
