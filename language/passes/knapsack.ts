/**
 * The multiple-choice knapsack, solved exactly: one choice per item, the least loss within a budget. Partial choices are
 * extended item by item; those that another one beats in cost and loss are dropped, and so are those that a Lagrangian bound
 * shows to end above a solution that is known. (Kellerer, Pferschy, Pisinger: Knapsack Problems, 2004, chapter 11.)
 */

export interface Choice {
  readonly cost: number;
  /** Finite, at least 0. */
  readonly loss: number;
}

export type Items = readonly (readonly Choice[])[];

interface State {
  readonly cost: number;
  readonly loss: number;
  readonly choice: number;
  readonly before: State | undefined;
}

/** @returns the index of the choice for every item; undefined where not even the cheapest fit */
export function leastLoss(items: Items, budget: number): number[] | undefined {
  if (cheapestCost(items) > budget) return undefined;
  const { multiplier, known } = relaxed(items, budget);
  const rests = restsOf(items, multiplier);
  let states: State[] = [{ cost: 0, loss: 0, choice: -1, before: undefined }];
  items.forEach((choices, i) => {
    const rest = rests[i + 1]!;
    const extended = states.flatMap((before) =>
      choices.map(({ cost, loss }, choice) => ({
        cost: before.cost + cost,
        loss: before.loss + loss,
        choice,
        before,
      })),
    );
    const hopeful = extended.filter(
      ({ cost, loss }) =>
        cost + rest.cheapest <= budget * ROUNDING &&
        loss + multiplier * (cost - budget) + rest.bound <= known * ROUNDING + TINY,
    );
    states = undominated(hopeful);
  });
  const within = states.filter(({ cost }) => cost <= budget);
  const best = within.reduce((a, b) => (b.loss < a.loss ? b : a), within[0]!);
  const chosen: number[] = [];
  for (let state = best; state.before; state = state.before) chosen.unshift(state.choice);
  return chosen;
}

/** Sums come in different orders: bounds leave room for their last digits. */
const ROUNDING = 1 + 1e-12;
const TINY = 1e-300;

export const cheapestCost = (items: Items): number =>
  items.reduce((sum, choices) => sum + Math.min(...choices.map(({ cost }) => cost)), 0);

/** Those that nothing cheaper beats in loss. */
function undominated(states: State[]): State[] {
  states.sort((a, b) => a.cost - b.cost || a.loss - b.loss);
  let least = Infinity;
  return states.filter(({ loss }) => {
    if (loss >= least) return false;
    least = loss;
    return true;
  });
}

/** For the items from each on: their least cost, and their least loss + multiplier · cost. */
function restsOf(items: Items, multiplier: number) {
  const rests = [{ cheapest: 0, bound: 0 }];
  for (const choices of [...items].reverse()) {
    const { cheapest, bound } = rests[0]!;
    rests.unshift({
      cheapest: cheapest + Math.min(...choices.map(({ cost }) => cost)),
      bound: bound + Math.min(...choices.map(({ cost, loss }) => loss + multiplier * cost)),
    });
  }
  return rests;
}

const HALVINGS = 100;

/** The least price of cost at which every item by itself stays within the budget, and the loss of that solution. */
function relaxed(items: Items, budget: number): { multiplier: number; known: number } {
  const at = (price: number) =>
    items.map((choices) =>
      choices.reduce((a, b) => {
        const [x, y] = [a.loss + price * a.cost, b.loss + price * b.cost];
        return y < x || (y === x && b.cost < a.cost) ? b : a;
      }),
    );
  const costOf = (chosen: readonly Choice[]) => chosen.reduce((sum, { cost }) => sum + cost, 0);
  const lossOf = (chosen: readonly Choice[]) => chosen.reduce((sum, { loss }) => sum + loss, 0);
  if (costOf(at(0)) <= budget) return { multiplier: 0, known: lossOf(at(0)) };
  let high = 1e-30;
  while (costOf(at(high)) > budget && high < 1e300) high *= 10;
  const cheapest = items.map((choices) => choices.reduce((a, b) => (b.cost < a.cost ? b : a)));
  if (costOf(at(high)) > budget) return { multiplier: 0, known: lossOf(cheapest) };
  let low = high / 10;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (costOf(at(middle)) > budget) low = middle;
    else high = middle;
  }
  return { multiplier: high, known: lossOf(at(high)) };
}
