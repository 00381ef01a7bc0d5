import { describe, expect, it } from 'vitest';
import { estimate } from '../../../../language/cost/estimate';
import type { ReramProfile } from '../../../../language/cost/profile';
import { placementOf, type Placement } from '../../../../language/graph/placement';
import type { Graph } from '../../../../language/graph/graph';
import type { StepRequest } from '../../../../language/passes/pass';
import reramMap from '../../../../language/passes/target/reram-map';
import { traitsOf } from '../../../../language/recipe/traits';
import { makeGraph, node, value, weight } from '../../../models';
import { bundled, factsOf } from '../../cost/subject';
import { testFolder } from '../../data/arrays';
import { baseOf, network, stepsOf } from '../../recipe/subject';
import { sample } from '../../runtime/host';
import { costs, open, preview, reopened, run } from '../subject';

const isaac = bundled('reram.isaac');
const folder = testFolder();

type Parameters = StepRequest<{
  target: string;
  mapping: 'fewest crossbars' | Placement['polarity'];
  copies: boolean;
  tiles?: number;
  cellBits?: number;
}>['parameters'];

function decide(graph: Graph, profile: ReramProfile, given: Partial<Parameters> = {}) {
  const facts = factsOf(graph);
  const { sites } = reramMap.sites({ graph, facts });
  const request = {
    graph,
    facts,
    sites: sites.map((site) => ({ ...site, entry: 0 })),
    parameters: { target: profile.id, mapping: 'fewest crossbars', copies: true, ...given },
    traits: () => traitsOf(profile, graph, facts),
  } as const;
  return reramMap.standIn(request) as {
    placed: Record<string, Placement>;
    refused: { node: string; reason: string }[];
  };
}

/** Three layers of 1,024, 256 and 1 positions, and scores of two activations. */
const graph = makeGraph({
  inputs: [value('x', [1, 3, 32, 32])],
  outputs: [value('y')],
  weights: [weight('k0', [32, 3, 3, 3]), weight('k1', [64, 32, 3, 3]), weight('w', [64, 64])],
  nodes: [
    node('Conv', ['x', 'k0'], ['a'], { pads: [1, 1, 1, 1] }, 'early'),
    node('Conv', ['a', 'k1'], ['b'], { pads: [1, 1, 1, 1], strides: [2, 2] }, 'middle'),
    node('GlobalAveragePool', ['b'], ['c'], {}, 'pool'),
    node('Flatten', ['c'], ['d'], {}, 'flatten'),
    node('MatMul', ['d', 'w'], ['e'], {}, 'late'),
    node('Transpose', ['e'], ['t'], {}, 'transpose'),
    node('MatMul', ['t', 'e'], ['y'], {}, 'scores'),
  ],
});

/** Crossbars of one copy. */
const crossbarsOf = (profile: ReramProfile) => {
  const whole = { ...profile, stepsPerLayer: undefined };
  const { layers } = estimate(graph, factsOf(graph), whole);
  return new Map(layers.map((layer) => [layer.node, layer.crossbars ?? 0]));
};

describe('target.reram-map', () => {
  it('gives copies to the layers that take longest, none to what is done at once', () => {
    const { placed, refused } = decide(graph, isaac, { tiles: 8 });
    const copies = (name: string) => placed[name]!.copies;
    expect(copies('early')).toBeGreaterThan(copies('middle'));
    expect(copies('late')).toBe(1);
    expect(refused).toEqual([
      { node: 'scores', reason: 'crossbars hold constant weights, and it multiplies activations' },
    ]);
  });

  it.each([1, 2, 3, 5, 8, 40])(
    'makes the slowest layer as fast as any copies do: %i tiles',
    (tiles) => {
      // Small tiles, so that every one counts.
      const chip: ReramProfile = { ...isaac, tile: { ...isaac.tile, crossbars: 12 } };
      const crossbars = crossbarsOf(chip);
      const layers = (['early', 'middle', 'late'] as const).map((name, at) => ({
        name,
        crossbars: crossbars.get(name)!,
        positions: [1024, 256, 1][at]!,
      }));
      const needed = (copies: readonly number[]) =>
        layers.reduce((sum, layer, at) => sum + Math.ceil((layer.crossbars * copies[at]!) / 12), 0);
      const slowest = (copies: readonly number[]) =>
        Math.max(...layers.map(({ positions }, at) => Math.ceil(positions / copies[at]!)));
      let best = Infinity;
      for (let early = 1; early <= 1024; early++)
        for (let middle = 1; middle <= 256; middle++)
          if (needed([early, middle, 1]) <= tiles)
            best = Math.min(best, slowest([early, middle, 1]));
          else break;
      const { placed } = decide(graph, chip, { tiles, mapping: 'offset' });
      const own = layers.map(({ name }) => placed[name]!.copies);
      if (best === Infinity) expect(own).toEqual([1, 1, 1]);
      else {
        expect(needed(own)).toBeLessThanOrEqual(tiles);
        expect(slowest(own)).toBe(best);
      }
    },
  );

  it('holds signs in the way that takes fewest crossbars, or as told', () => {
    const cheapest = decide(graph, isaac).placed;
    for (const polarity of ['offset', 'two-column', 'differential'] as const) {
      const told = decide(graph, isaac, { mapping: polarity, cellBits: 1, copies: false }).placed;
      expect(told.middle).toEqual({ cellBits: 1, polarity, copies: 1 });
      const taken = crossbarsOf({ ...isaac, crossbar: { ...isaac.crossbar, polarity } });
      const least = crossbarsOf({
        ...isaac,
        crossbar: { ...isaac.crossbar, polarity: cheapest.middle!.polarity },
      });
      expect(least.get('middle')).toBeLessThanOrEqual(taken.get('middle')!);
    }
  });

  it('makes no copies where tiles take one position of a layer at a time', () => {
    const { placed } = decide(graph, bundled('reram.mnsim'));
    expect(Object.values(placed).map(({ copies }) => copies)).toEqual([1, 1, 1]);
  });

  it('refuses a target without crossbars, and cells that hold less', () => {
    const facts = factsOf(graph);
    const request = (parameters: object) =>
      ({
        graph,
        facts,
        sites: [],
        parameters: { mapping: 'fewest crossbars', copies: true, ...parameters },
        traits: () => traitsOf(bundled('mobile.pixel3-cpu'), graph, facts),
      }) as never;
    expect(() => reramMap.standIn(request({ target: 'mobile.pixel3-cpu' }))).toThrow(
      /^mobile\.pixel3-cpu has no crossbars to lay weights into.*reram\.isaac/,
    );
    expect(() => decide(graph, isaac, { cellBits: 3 })).toThrow(
      /^the cells of reram\.isaac hold 2 bits, not 3.*Set cellBits to 2 or less/,
    );
  });

  it.each([
    ['a network made by hand', () => baseOf(network('/flatten'))],
    ['shapes-resnet', () => open(sample('shapes-resnet.onnx'))],
  ])('writes its layout into the file: %s costs what its preview does', async (_, make) => {
    const base = make();
    const steps = stepsOf({ pass: 'target.reram-map', target: 'reram.isaac', tiles: 60 });
    const { outcomes, decisions } = await run(base, steps);
    const previewed = costs(preview(base, steps, decisions).situation);
    const file = reopened(base, outcomes.at(-1)!.situation, folder.path);
    const written = costs(file);
    expect(previewed.targets).toEqual(written.targets);
    const on = ({ targets }: typeof written) =>
      targets.find(({ target }) => target === 'reram.isaac')!;
    expect(on(written).total.latencyMs).toBeLessThan(on(costs(base)).total.latencyMs);
    const placed = file.graph.order.flatMap(({ metadata }) => placementOf(metadata) ?? []);
    expect(Math.max(...placed.map(({ copies }) => copies))).toBeGreaterThan(1);
    const tiles = on(written).layers.reduce((sum, layer) => sum + (layer.tiles ?? 0), 0);
    expect(tiles).toBeLessThanOrEqual(60);
    // Nothing else has changed: not what other targets make of it, not the weights.
    expect(written.counts).toEqual(costs(base).counts);
  });
});
