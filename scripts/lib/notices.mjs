import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readJson, ROOT } from './project.mjs';

/** Shipped beside the bundles, not in them. */
const SHIPPED = ['onnxruntime-node', 'onnxruntime-common', '@vscode/codicons'];

/** The licences of every package of which something is shipped, given the files that went into the bundles. */
export function thirdPartyNotices(bundledFiles) {
  const folders = new Set(SHIPPED.map((name) => `node_modules/${name}`));
  for (const file of bundledFiles) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file.replaceAll('\\', '/'))?.[0];
    if (folder) folders.add(folder);
  }
  const parts = [...folders].map(noticeOf).sort((a, b) => a.name.localeCompare(b.name));
  return [HEADER, ...parts.map(({ text }) => text)].join(`\n${'─'.repeat(80)}\n\n`);
}

const HEADER = 'Whittle contains the following software and fonts of others.\n';

function noticeOf(folder) {
  const manifest = readJson(path.join(ROOT, folder, 'package.json'));
  const { name, version, license } = manifest;
  const head = [`${name} ${version}`, `licence: ${license}`, homeOf(manifest)].filter(Boolean);
  const texts = licenceFiles(path.join(ROOT, folder));
  if (texts.length === 0 && license !== 'MIT') {
    throw new Error(
      `${name} has the licence ${license} and no text of it: its notice must be written`,
    );
  }
  const body = texts.length ? texts.join('\n\n') : mit(holderOf(manifest));
  return { name, text: `${head.join('\n')}\n\n${body}\n` };
}

const licenceFiles = (folder) =>
  readdirSync(folder)
    .filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file))
    .map((file) => path.join(folder, file))
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, 'utf8').trim());

function homeOf({ homepage, repository }) {
  const url = homepage ?? (typeof repository === 'string' ? repository : repository?.url);
  return url?.replace(/^git\+/, '').replace(/\.git$/, '');
}

function holderOf({ name, author }) {
  const holder = typeof author === 'string' ? author : author?.name;
  if (holder) return holder.replace(/\s*[<(].*$/, '');
  throw new Error(`${name} names neither a licence text nor an author`);
}

const mit = (holder) => `MIT License

Copyright (c) ${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense,
and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN
NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY,
WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;
