#!/usr/bin/env node
/** The command line: the same engine without VS Code. */
import { runCommandLine } from './cli/main';

/** Aborted by Ctrl-C, by a request to end, and when the terminal goes away. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => controller.abort());
  return controller.signal;
}

// Whoever reads may have read enough: `whittle inspect … | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const { stdout, stderr } = process;
process.exitCode = await runCommandLine(process.argv.slice(2), { stdout, stderr, interruption });
