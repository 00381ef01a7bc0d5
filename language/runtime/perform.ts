/** Task kind → what does it. */
import { assertNever } from '../errors';
import { activations } from './perform/activations';
import { capture } from './perform/capture';
import { compare } from './perform/compare';
import { deviations } from './perform/deviations';
import { evaluate } from './perform/evaluate';
import { grams } from './perform/grams';
import { kernels } from './perform/kernels';
import { load } from './perform/load';
import { measure } from './perform/measure';
import { moments } from './perform/moments';
import { profile } from './perform/profile';
import { ranges } from './perform/ranges';
import type { Task, TaskKind, Tasks } from './tasks';

/** Says what is being done and how far it is. */
export type Report = (stage: string, done: number, total: number) => void;

export interface Context {
  /** A folder for temporary files, removed after the task. */
  readonly scratch: string;
  readonly report: Report;
}

export function perform(task: Task, context: Context): Promise<Tasks[TaskKind][1]> {
  switch (task.kind) {
    case 'load':
      return load(task, context);
    case 'ranges':
      return ranges(task, context);
    case 'moments':
      return moments(task, context);
    case 'grams':
      return grams(task, context);
    case 'activations':
      return activations(task, context);
    case 'capture':
      return capture(task, context);
    case 'deviations':
      return deviations(task, context);
    case 'evaluate':
      return evaluate(task, context);
    case 'compare':
      return compare(task, context);
    case 'measure':
      return measure(task, context);
    case 'profile':
      return profile(task, context);
    case 'kernels':
      return kernels(task, context);
    default:
      return assertNever(task);
  }
}
