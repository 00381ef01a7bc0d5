import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'vitest';

test('the bundle for translators has every string, and no other', () => {
  const script = path.resolve(import.meta.dirname, '../../../scripts/l10n.mjs');
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
});
