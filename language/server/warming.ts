/** Gets the code of a preview compiled before somebody moves a slider. */
import { makeDesign, type Look, type Subject } from '../design/design';
import { previewSteps } from '../recipe/run';

/** Nobody asked for anything this long. */
const IDLE_MS = 300;
/** Previews that are run for nothing, and how long they may take together. */
const MOST_ROUNDS = 8;
const MOST_MS = 1000;

/**
 * While nobody asks, previews a recipe anew as a move of a slider would, and throws the result away: the first moves would
 * take several times as long as the later ones otherwise. Once for each list of passes; any request ends it.
 */
export class Warming {
  readonly #warm = new Set<string>();
  #waiting: NodeJS.Timeout | undefined;

  /** A design was answered that may be changed next. */
  after(subject: Subject, look: Look): void {
    const steps = subject.recipe?.recipe.steps ?? [];
    const passes = subject.preview.outcomes.map(({ step }) => step.pass.id).join(' ');
    if (passes === '' || this.#warm.has(passes)) return;
    let rounds = 0;
    let spentMs = 0;
    const round = () => {
      const start = performance.now();
      try {
        const preview = previewSteps(subject.bound, steps, { remembered: () => undefined });
        makeDesign({ ...subject, preview }, look);
      } catch {
        return; // said when somebody asks for it
      }
      spentMs += performance.now() - start;
      if (++rounds === MOST_ROUNDS || spentMs > MOST_MS) this.#warm.add(passes);
      else this.#waiting = setTimeout(round, 0);
    };
    this.interrupt();
    this.#waiting = setTimeout(round, IDLE_MS);
  }

  interrupt(): void {
    clearTimeout(this.#waiting);
  }
}
