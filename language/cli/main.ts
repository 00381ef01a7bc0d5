/** The command line as a function. Every command is a module of its own, loaded when it is asked for. */
import { CancelledError, describeError, didYouMean } from '../errors';
import { UsageError, type Command, type Surroundings } from './command';

const COMMANDS: Readonly<Record<string, () => Promise<{ default: Command }>>> = {
  inspect: () => import('./inspect'),
  estimate: () => import('./estimate'),
  apply: () => import('./apply'),
  calibrate: () => import('./calibrate'),
  capture: () => import('./capture'),
  evaluate: () => import('./evaluate'),
  profile: () => import('./profile'),
  sensitivity: () => import('./sensitivity'),
  report: () => import('./report'),
  targets: () => import('./targets'),
  passes: () => import('./passes'),
  templates: () => import('./templates'),
};

const USAGE = `whittle: see what an ONNX model costs on a device, and compress it

  whittle inspect  MODEL [--shape NAME=SIZE[,SIZE...]]... [--values]
  whittle estimate MODEL [--recipe RECIPE] --target TARGET [--target TARGET]... [--shape ...] [--as int8|fp16] [--decisions FILE]
  whittle apply    RECIPE [--model MODEL] [-o OUTPUT] [--report FILE] [--shape ...] [--force] [--decisions FILE] [--replay FILE]
  whittle calibrate TARGET MEASUREMENTS.csv -o NAME.target.yaml [--as int8|fp16] [--title TITLE]
  whittle calibrate host [--model MODEL]... [--shape ...] [--threads N] [--budget MS] [-o NAME.target.yaml]
  whittle evaluate MODEL [--against REFERENCE [--interval]] --data NAME.dataset.yaml [--metric METRIC] [--samples N]
  whittle capture  MODEL --data NAME.dataset.yaml [--tensors NAME]... [--kinds KIND[,KIND...]] [--grams FOLDER] [--samples N] [--shape ...]
  whittle profile  MODEL [--data NAME.dataset.yaml] [--threads N] [--batch N] [--shape ...] [--top N]
  whittle sensitivity RECIPE [--step N] [--metric] [--model MODEL] [--samples N] [--shape ...]
  whittle report   FILE.report.json [--html FILE] [--markdown]
  whittle targets | passes | templates

Every command takes --json (one JSON document on stdout) and --quiet. A target is an id or the path of a profile;
host is this machine once it is calibrated.
Exit codes: 0 done, 1 failed or over the recipe's budget, 2 wrong usage.
`;

/** As shells report a program that Ctrl-C ended. */
const INTERRUPTED = 130;

/** @returns the exit code */
export async function runCommandLine(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  try {
    return await dispatch(argv, surroundings);
  } catch (error) {
    if (error instanceof CancelledError) return INTERRUPTED;
    surroundings.stderr.write(`whittle: ${describeError(error).replaceAll(/\s*\n\s*/g, ' ')}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(
  [name, ...rest]: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  if (name === undefined) {
    surroundings.stderr.write(USAGE);
    return 2;
  }
  if (['help', '--help', '-h'].includes(name) || rest.some((a) => a === '--help' || a === '-h')) {
    surroundings.stdout.write(USAGE);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name))
    throw new UsageError(`there is no command ${name}`, {
      hint: didYouMean(name, Object.keys(COMMANDS)) || 'whittle --help lists them',
    });
  const { default: command } = await COMMANDS[name]!();
  await command(rest, surroundings);
  return 0;
}
