/** Gets the code of a preview compiled before somebody moves a slider. */
import type { Subject } from '../design/design';
import { parameterProperties, type Step } from '../recipe/recipe';
import type { Draft } from './subjects';

/** Nobody asked for anything this long. */
const IDLE_MS = 300;
/** Moves that are made for nothing, and the processor time that they may take together. */
const MOST_MOVES = 40;
const MOST_MS = 6000;
/** Shares no factor with the number of moves, so that each is another one. */
const STRIDE = 11;

/**
 * While nobody asks, moves the first slider of a recipe to and fro and throws away what comes of it: the first moves would
 * take several times as long as the later ones otherwise. Once for each list of passes; a request puts it off.
 */
export class Warming {
  readonly #warm = new Set<string>();
  #waiting: NodeJS.Timeout | undefined;
  #next: (() => void) | undefined;

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
    this.#next = () => {
      const used = process.cpuUsage();
      try {
        move(slider(++moves));
      } catch {
        this.end(); // said when somebody asks for it
        return;
      }
      const { user, system } = process.cpuUsage(used);
      spentMs += (user + system) / 1000;
      if (moves < MOST_MOVES && spentMs < MOST_MS) {
        this.#waiting = setTimeout(() => this.#next?.(), 0);
        return;
      }
      this.#warm.add(passes);
      this.end();
    };
    this.putOff();
  }

  /** Somebody asks for something. */
  putOff(): void {
    clearTimeout(this.#waiting);
    if (this.#next) this.#waiting = setTimeout(this.#next, IDLE_MS);
  }

  /** Nothing is to be gained any more: somebody moves a slider. */
  end(): void {
    clearTimeout(this.#waiting);
    this.#next = undefined;
  }
}

/**
 * What the slider of a step says as it is moved to and fro between its value and a quarter of it: far enough to come soon by
 * what changes the structure of the result, such as a stage that would keep more tokens than there are left.
 */
function sliderOf({ index, pass, parameters }: Step): ((move: number) => Draft) | undefined {
  const values = parameters as Readonly<Record<string, unknown>>;
  for (const [parameter, { role }] of Object.entries(parameterProperties(pass))) {
    const value = values[parameter];
    if (role !== 'ratio' || value === undefined) continue;
    return (move) => {
      const share = 1 - (0.75 * ((move * STRIDE) % MOST_MOVES)) / MOST_MOVES;
      return { step: index, parameter, value: scaled(value, share) };
    };
  }
  return undefined;
}

/** Of one value per selector, the first one is moved. */
function scaled(value: unknown, by: number): unknown {
  if (typeof value === 'number') return Number((value * by).toFixed(3));
  if (!Array.isArray(value)) return value;
  const [first, ...others] = value as readonly unknown[];
  return [scaled(first, by), ...others];
}
