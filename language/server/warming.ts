/** Gets the code of a preview compiled before somebody moves a slider. */
import type { Subject } from '../design/design';
import { parameterProperties, type Step } from '../recipe/recipe';
import type { Draft } from './subjects';

/** Nobody asked for anything this long. */
const IDLE_MS = 300;
/** Moves that are made for nothing, and how long they may take together. */
const MOST_MOVES = 24;
const MOST_MS = 3000;

/**
 * While nobody asks, moves the first slider of a recipe a little and throws away what comes of it: the first moves would
 * take several times as long as the later ones otherwise. Once for each list of passes; any request ends it.
 */
export class Warming {
  readonly #warm = new Set<string>();
  #waiting: NodeJS.Timeout | undefined;

  /**
   * A design was answered that may be changed next.
   * @param move answers what a slider asks for
   */
  after({ recipe, preview }: Subject, move: (draft: Draft) => void): void {
    const passes = preview.outcomes.map(({ step }) => step.pass.id).join(' ');
    const slider = (recipe?.recipe.steps ?? []).map(sliderOf).find((found) => found !== undefined);
    if (!slider || passes === '' || this.#warm.has(passes)) return;
    let moves = 0;
    let spentMs = 0;
    const next = () => {
      const start = performance.now();
      try {
        move(slider(++moves));
      } catch {
        return; // said when somebody asks for it
      }
      spentMs += performance.now() - start;
      if (moves === MOST_MOVES || spentMs > MOST_MS) this.#warm.add(passes);
      else this.#waiting = setTimeout(next, 0);
    };
    this.interrupt();
    this.#waiting = setTimeout(next, IDLE_MS);
  }

  interrupt(): void {
    clearTimeout(this.#waiting);
  }
}

/** What the slider of a step says as it is moved down from its value, a percent at a time. */
function sliderOf({ index, pass, parameters }: Step): ((move: number) => Draft) | undefined {
  const values = parameters as Readonly<Record<string, unknown>>;
  for (const [parameter, { role }] of Object.entries(parameterProperties(pass))) {
    const value = values[parameter];
    if (role !== 'ratio' || value === undefined) continue;
    return (move) => ({ step: index, parameter, value: lowered(value, 1 - move / 100) });
  }
  return undefined;
}

/** Of one value per selector, the first one is moved. */
function lowered(value: unknown, by: number): unknown {
  if (typeof value === 'number') return Number((value * by).toFixed(3));
  if (!Array.isArray(value)) return value;
  const [first, ...others] = value as readonly unknown[];
  return [lowered(first, by), ...others];
}
