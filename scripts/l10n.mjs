/** `node scripts/l10n.mjs`: writes the strings of the extension and its webview for translators; `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { BUNDLE, l10nBundle } from './lib/l10n.mjs';

const bundle = l10nBundle();
if (!process.argv.includes('--check')) writeFileSync(BUNDLE, bundle);
else if (readFileSync(BUNDLE, 'utf8') !== bundle) {
  console.error('l10n/bundle.l10n.json is out of date: run `node scripts/l10n.mjs`');
  process.exit(1);
}
