/** A terminal for tests: runs the command line as a function and keeps what it says. */
import { runCommandLine } from '../../../language/cli/main';

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TerminalOptions {
  readonly runtimeEntry?: string;
  readonly isTTY?: boolean;
  /** Fires as soon as the command asks. */
  readonly interrupted?: boolean;
}

export async function whittle(
  args: readonly string[],
  { runtimeEntry, isTTY = false, interrupted = false }: TerminalOptions = {},
): Promise<Said> {
  const said = { stdout: '', stderr: '' };
  const to = (stream: keyof typeof said) => ({
    write: (text: string) => {
      said[stream] += text;
    },
  });
  const code = await runCommandLine(args, {
    stdout: to('stdout'),
    stderr: { ...to('stderr'), isTTY, columns: 60 },
    interruption: () => (interrupted ? AbortSignal.abort() : new AbortController().signal),
    ...(runtimeEntry !== undefined && { runtimeEntry }),
  });
  return { code, ...said };
}

/** What a command answers with `--json`; it must have succeeded and said nothing else. */
export async function answer<T>(args: readonly string[], options?: TerminalOptions): Promise<T> {
  const { code, stdout, stderr } = await whittle([...args, '--json'], options);
  if (code !== 0 || stderr !== '') throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}
