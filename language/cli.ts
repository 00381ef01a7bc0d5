#!/usr/bin/env node
/** The command line: the same engine without VS Code. Every command is a module of its own, loaded when it is asked for. */
import { CancelledError, describeError, didYouMean } from './errors';
import { UsageError, type Command } from './cli/command';

const COMMANDS: Readonly<Record<string, () => Promise<{ default: Command }>>> = {
  inspect: () => import('./cli/inspect'),
  estimate: () => import('./cli/estimate'),
  apply: () => import('./cli/apply'),
  calibrate: () => import('./cli/calibrate'),
  evaluate: () => import('./cli/evaluate'),
  targets: () => import('./cli/targets'),
  passes: () => import('./cli/passes'),
  templates: () => import('./cli/templates'),
};

const USAGE = `whittle: see what an ONNX model costs on a device, and compress it

  whittle inspect  MODEL [--shape NAME=SIZE[,SIZE...]]... [--values]
  whittle estimate MODEL [--recipe RECIPE] --target TARGET [--target TARGET]... [--shape ...] [--as int8|fp16] [--decisions FILE]
  whittle apply    RECIPE [--model MODEL] [-o OUTPUT] [--report FILE] [--shape ...] [--force] [--decisions FILE] [--replay FILE]
  whittle calibrate TARGET MEASUREMENTS.csv -o NAME.target.yaml [--as int8|fp16] [--title TITLE]
  whittle evaluate MODEL [--against REFERENCE] --data NAME.dataset.yaml [--metric METRIC] [--samples N]
  whittle targets | passes | templates

Every command takes --json (one JSON document on stdout) and --quiet. A target is an id or the path of a profile.
Exit codes: 0 done, 1 failed, 2 wrong usage.`;

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    (name === undefined ? process.stderr : process.stdout).write(`${USAGE}\n`);
    return name === undefined ? 2 : 0;
  }
  const load = COMMANDS[name];
  if (!load)
    throw new UsageError(`there is no command ${name}. ${didYouMean(name, Object.keys(COMMANDS))}`);
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const { default: command } = await load();
  await command(rest);
  return 0;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof CancelledError) return 130;
  process.stderr.write(`whittle: ${describeError(error)}\n`);
  return error instanceof UsageError ? 2 : 1;
});
