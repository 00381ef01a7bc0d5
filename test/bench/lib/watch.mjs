// A worker: the most memory that a process and the processes it started held at once, in bytes, as Linux tells.
import { readdirSync, readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const PAUSE_MS = 20;
const { pid, shared } = workerData;
const state = new Int32Array(shared);
let peakBytes = 0;
while (Atomics.wait(state, 0, 0, PAUSE_MS) === 'timed-out')
  peakBytes = Math.max(peakBytes, familyBytes(pid));
parentPort.postMessage(peakBytes);

function familyBytes(process) {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process}/status`, 'utf8'));
    const children = readdirSync(`/proc/${process}/task`).flatMap((task) =>
      readFileSync(`/proc/${process}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
    return children.reduce((sum, child) => sum + familyBytes(child), 1024 * Number(kib));
  } catch {
    return 0; // it ended meanwhile
  }
}
