import { execFileSync, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const WINDOWS = process.platform === 'win32';
const running = new Set();

/** Starts a program in a process group of its own, so that it and all that it starts can be ended together. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { detached: !WINDOWS, ...options });
  running.add(child);
  child.on('close', () => running.delete(child));
  return child;
}

/** How a child ended; 1 where it was killed. */
export function exitCode(child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** Ends what `start` started, gently first. */
export async function stop(child) {
  if (child.pid === undefined) return;
  if (WINDOWS) return killTree(child.pid);
  signalGroup(child.pid, 'SIGTERM');
  for (let waited = 0; waited < 3000 && signalGroup(child.pid, 0); waited += 50) await sleep(50);
  signalGroup(child.pid, 'SIGKILL');
}

/** Ends this program, once everything that it started has ended. */
export async function end(code) {
  if (ending) return;
  ending = true;
  await Promise.all([...running].map(stop));
  process.exit(code);
}
let ending = false;

/** From now on, being told to stop leaves no process behind. */
export function endOnSignals() {
  process.on('SIGINT', () => end(130));
  process.on('SIGTERM', () => end(143));
  process.on('SIGHUP', () => end(129));
}

/** False when nobody of the group is left. */
function signalGroup(leader, signal) {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

function killTree(pid) {
  try {
    execFileSync('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore' });
  } catch {
    // It has ended already.
  }
}
