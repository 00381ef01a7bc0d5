import { describe, expect, it } from 'vitest';
import { randomStream } from '../../../language/data/random';
import { cheapestCost, leastLoss, type Items } from '../../../language/passes/knapsack';

/** Every combination. */
function bruteForce(items: Items, budget: number): number {
  let best = Infinity;
  const go = (i: number, cost: number, loss: number) => {
    if (cost > budget) return;
    if (i === items.length) best = Math.min(best, loss);
    else for (const choice of items[i]!) go(i + 1, cost + choice.cost, loss + choice.loss);
  };
  go(0, 0, 0);
  return best;
}

const lossOf = (items: Items, chosen: readonly number[]) =>
  chosen.reduce((sum, choice, i) => sum + items[i]![choice]!.loss, 0);
const costOf = (items: Items, chosen: readonly number[]) =>
  chosen.reduce((sum, choice, i) => sum + items[i]![choice]!.cost, 0);

describe('the multiple-choice knapsack', () => {
  it('is solved as trying everything solves it', () => {
    const random = randomStream('knapsack');
    for (let round = 0; round < 200; round++) {
      const items = Array.from({ length: 1 + Math.floor(random() * 8) }, () =>
        Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
          cost: Math.floor(random() * 100),
          // Some lose nothing, some are worse in both, some differ by orders of magnitude.
          loss: random() < 0.1 ? 0 : 10 ** (-6 * random()),
        })),
      );
      const most = items.reduce((sum, choices) => sum + Math.max(...choices.map((c) => c.cost)), 0);
      const budget = Math.floor(random() * 1.1 * most);
      const chosen = leastLoss(items, budget);
      if (cheapestCost(items) > budget) expect(chosen).toBeUndefined();
      else {
        expect(costOf(items, chosen!)).toBeLessThanOrEqual(budget);
        expect(lossOf(items, chosen!)).toBeCloseTo(bruteForce(items, budget), 12);
      }
    }
  });

  it('takes no time with as many items as large models have layers', () => {
    const random = randomStream('many');
    const items = Array.from({ length: 300 }, () => {
      const [bytes, loss] = [1000 + Math.floor(random() * 1e6), 10 ** (-5 * random())];
      return [
        { cost: 4 * bytes, loss: 0 },
        { cost: bytes, loss: loss * random() },
        { cost: bytes / 2, loss: loss * (1 + 50 * random()) },
      ];
    });
    const budget = 1.5 * cheapestCost(items);
    const chosen = leastLoss(items, budget)!;
    expect(costOf(items, chosen)).toBeLessThanOrEqual(budget);
    expect(costOf(items, chosen)).toBeGreaterThan(0.99 * budget);
  });
});
