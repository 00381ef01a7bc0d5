import { execFileSync } from 'node:child_process';

/** The processes that a process started, and those that they started. */
export function descendants(root) {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((row) => row !== null)
    .map(([, id, parent, command]) => ({ id: Number(id), parent: Number(parent), command }));
  const below = new Set([root]);
  for (let size = 0; size < below.size;) {
    size = below.size;
    for (const { id, parent } of rows) if (below.has(parent)) below.add(id);
  }
  return rows.filter(
    ({ id, command }) => id !== root && below.has(id) && !command.startsWith('ps '),
  );
}

export function isAlive(id) {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}
