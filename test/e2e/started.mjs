import { spawn } from 'node:child_process';
import path from 'node:path';
import { ROOT } from '../../scripts/lib/project.mjs';

/** `npm start`, as a terminal starts it: in a group of its own, which Ctrl-C reaches. Resolves once it has told the address. */
export function startWhittle(home) {
  const child = spawn(process.execPath, [path.join(ROOT, 'scripts/start.mjs'), '--home', home], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return new Promise((resolve, reject) => {
    let output = '';
    const read = (chunk) => {
      output += chunk;
      const url = /Whittle is ready: (\S+)/.exec(output)?.[1];
      if (url) resolve({ child, url, ended, interrupt: () => process.kill(-child.pid, 'SIGINT') });
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', read);
    child.on('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
}
