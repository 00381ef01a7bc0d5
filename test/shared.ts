import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * A file or folder of the test material that lies beside the project and is not part of it; undefined where it is absent,
 * as in a plain clone. Tests that need it skip then.
 */
export function shared(...parts: string[]): string | undefined {
  const found = path.join(import.meta.dirname, '../../shared', ...parts);
  return existsSync(found) ? found : undefined;
}
