import { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Graph } from '../../graph/graph';
import { PLACEMENT_KEY, placementText, POLARITIES, type Placement } from '../../graph/placement';
import { macsOf } from '../macs';
import type { CrossbarTraits, Pass, Refusal, StepRequest } from '../pass';
import { traitsOf } from '../traits';

const parameters = z.strictObject({
  target: z.string().min(1).meta({
    title: 'Target',
    description: 'Whose crossbars are filled',
    role: 'target',
  }),
  mapping: z
    .enum(['fewest crossbars', ...POLARITIES])
    .default('fewest crossbars')
    .meta({
      title: 'Signed weights',
      description:
        'By an offset and one more column, in two columns of a crossbar, in two crossbars, or whichever takes fewest for each layer',
    }),
  cellBits: z
    .number()
    .int()
    .positive()
    .optional()
    .meta({ title: 'Bits per cell', description: 'At most as many as the target’s cells hold' }),
  copies: z
    .boolean()
    .default(true)
    .meta({ title: 'Copies', description: 'Slow layers several times, as far as tiles allow' }),
  tiles: z
    .number()
    .int()
    .positive()
    .optional()
    .meta({ title: 'Tiles', description: 'To fill at most; all of a chip' }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions {
  readonly placed: Readonly<Record<string, Placement>>;
  readonly refused: readonly Refusal[];
}

const reramMap: Pass<Parameters, Decisions> = {
  id: 'target.reram-map',
  title: 'Lay out crossbars',
  family: 'target',
  summary:
    'Decides for every layer how its weights lie in the crossbars of a ReRAM target: bits per cell, how signs are held, and how often the layer is there. Copies go to the layers that take longest until the tiles are full, so that the slowest layer of the pipeline is as fast as it can be. Weights stay as they are: the layout is written into the metadata of the nodes, where estimates for ReRAM targets find it.',
  paper: {
    title:
      'ISAAC: A Convolutional Neural Network Accelerator with In-Situ Analog Arithmetic in Crossbars',
    authors: 'Shafiee, Nag, Muralimanohar, Balasubramonian, Strachan, Hu, Williams, Srikumar',
    venue: 'ISCA 2016',
  },
  parameters,
  needs: () => [],

  sites({ graph, facts }) {
    const sites = graph.order.filter((node) => macsOf(facts, node) > 0);
    return { sites: sites.map(({ id }) => ({ node: id })), refused: [] };
  },

  plan: (request) => Promise.resolve(decide(request)),
  standIn: decide,

  rewrite({ graph, sites }, { placed, refused }) {
    for (const { node } of sites) if (placed[node]) place(graph, node, placed[node]);
    return refused;
  },
};
export default reramMap;

function place(graph: Graph, id: string, placement: Placement): void {
  const { metadata } = graph.node(id)!;
  graph.replace(id, {
    metadata: new Map([...metadata, [PLACEMENT_KEY, placementText(placement)]]),
  });
}

// ---- what is decided

interface Chosen {
  readonly node: string;
  readonly placement: Omit<Placement, 'copies'>;
  readonly crossbars: number;
  readonly positions: number;
  readonly intervalNs: number;
}

/** @throws WhittleError for a target without crossbars, or cells that hold fewer bits */
function decide(request: StepRequest<Parameters>): Decisions {
  const { parameters: given, sites } = request;
  const { id, crossbars: traits } = traitsOf(request, given.target);
  if (!traits)
    throw new WhittleError(`${id} has no crossbars to lay weights into`, {
      hint: 'Choose a ReRAM target, such as reram.isaac',
    });
  const cellBits = given.cellBits ?? traits.cellBits;
  if (cellBits > traits.cellBits)
    throw new WhittleError(`the cells of ${id} hold ${traits.cellBits} bits, not ${cellBits}`, {
      hint: `Set cellBits to ${traits.cellBits} or less`,
    });
  const ways = POLARITIES.filter(
    (polarity) => given.mapping === 'fewest crossbars' || polarity === given.mapping,
  ).map((polarity) => ({ polarity, laid: traits.lay({ polarity, cellBits }) }));
  const refused: Refusal[] = [];
  const chosen: Chosen[] = [];
  for (const { node } of sites) {
    const options = ways.flatMap(({ polarity, laid }) => {
      const layer = laid.get(node);
      return layer ? [{ node, placement: { cellBits, polarity }, ...layer }] : [];
    });
    // Of equal ones the target's own.
    options.sort((a, b) => a.crossbars - b.crossbars || own(b, traits) - own(a, traits));
    const [best] = options;
    if (best) chosen.push(best);
    else
      refused.push({
        node,
        reason: 'crossbars hold constant weights, and it multiplies activations',
      });
  }
  const tiles = given.tiles ?? traits.tiles;
  const steps = given.copies && traits.copies ? stepsWithin(chosen, tiles, traits.perTile) : [];
  const placed = chosen.map(({ node, placement, positions }, at) => [
    node,
    { ...placement, copies: Math.ceil(positions / (steps[at] ?? positions)) },
  ]);
  return { placed: Object.fromEntries(placed) as Decisions['placed'], refused };
}

const own = ({ placement }: Chosen, { polarity }: CrossbarTraits): number =>
  placement.polarity === polarity ? 1 : 0;

/**
 * Steps of each layer when the slowest is as fast as tiles allow: within a time, a layer needs no more copies than make it
 * fast enough, so fewer tiles for more time, and the least time that fits is found by bisection (exactly: only as many
 * times matter as there are whole steps). One copy of each where even these do not fit.
 */
function stepsWithin(layers: readonly Chosen[], tiles: number, perTile: number): number[] {
  const stepsAt = (ns: number) =>
    layers.map(({ positions, intervalNs }) =>
      Math.max(1, Math.min(positions, Math.floor(ns / intervalNs + ROUNDING))),
    );
  const fits = (steps: readonly number[]) => {
    const taken = layers.map(({ crossbars, positions }, at) =>
      Math.ceil((crossbars * Math.ceil(positions / steps[at]!)) / perTile),
    );
    return taken.reduce((a, b) => a + b, 0) <= tiles;
  };
  let slow = Math.max(0, ...layers.map(({ positions, intervalNs }) => positions * intervalNs));
  let fast = Math.max(0, ...layers.map(({ intervalNs }) => intervalNs));
  if (!fits(stepsAt(slow))) return layers.map(({ positions }) => positions);
  if (fits(stepsAt(fast))) return stepsAt(fast);
  for (let round = 0; round < BISECTIONS; round++) {
    const middle = (fast + slow) / 2;
    if (fits(stepsAt(middle))) slow = middle;
    else fast = middle;
  }
  return stepsAt(slow);
}

/** Enough to tell any two times of whole steps apart. */
const BISECTIONS = 60;
const ROUNDING = 1e-9;
