import { z } from 'zod';
import { WhittleError } from '../../errors';
import type { Graph } from '../../graph/graph';
import { tensorByteLength } from '../../onnx/tensor';
import { cheapestCost, leastLoss, type Choice } from '../knapsack';
import { QDQ_OPSET } from '../layers';
import type { Evidence, Pass, Refusal, StepRequest } from '../pass';
import { INT4_OPSET, whyNoInt4, type WeightBits } from '../quantisedWeights';
import { traitsOf } from '../traits';
import { factsOf } from './int8/preparation';
import { layerSites } from './int8/sites';
import { measureStatically, writeStatically, type Decided, type Static } from './int8/statically';

const WIDTHS = [32, 8, 4] as const;
/** 32: as it is. */
type Width = (typeof WIDTHS)[number];

const parameters = z.strictObject({
  share: z.number().positive().max(1).optional().meta({
    title: 'Share of the size',
    description: 'What all weights may take, as a share of what they take now',
  }),
  bytes: z.int().positive().optional().meta({
    title: 'Bytes',
    description: 'What all weights may take, in bytes, instead of a share',
  }),
  latencyMs: z.number().positive().optional().meta({
    title: 'Latency',
    description: 'What a run may take on the target by its cost model, in ms, instead of a size',
  }),
  target: z.string().optional().meta({
    title: 'Target',
    description: 'An id or the path to a profile, for a budget of latency',
  }),
  widths: z
    .array(z.literal(WIDTHS))
    .min(2)
    .default([...WIDTHS])
    .meta({
      title: 'Widths',
      description:
        'Bits that the weights of a layer may have. 32: the layer stays as it is; with 8 and 4 its input has 8. With 4 ONNX Runtime multiplies in float',
    }),
});
type Parameters = z.infer<typeof parameters>;

interface Decisions extends Decided {
  /** Bits of every layer, and what the others would have cost. */
  readonly layers: Readonly<Record<string, LayerDecision>>;
}

interface LayerDecision {
  readonly bits: Width;
  readonly options: readonly (Choice & { readonly bits: Width })[];
}

const mixed: Pass<Parameters, Decisions> = {
  id: 'quantize.mixed',
  title: 'Mixed precision',
  family: 'quantize',
  summary:
    'Bits for each layer, so that a budget of size or latency is met with the least change of the outputs: what each width costs a layer is measured one by one on the calibration data, and the best combination is found exactly.',
  parameters,
  needs: () => ['calibration'],
  sites: layerSites,

  async plan(request, evidence) {
    const budget = budgetOf(request);
    const fixed = staticOf(request);
    const how = { method: 'minmax', percentile: 100, smooth: 'auto' } as const;
    const { ranges, smoothings } = await measureStatically(fixed, how, evidence);
    const write = (widths: Widths): Graph => {
      const graph = fixed.graph.fork();
      writeWidths({ ...fixed, graph }, { ranges, smoothings }, widths);
      return graph;
    };
    const layers = request.sites.map(({ node }) => node);
    const options = optionsOf(request);
    const losses = await lossesOf(layers, options, write, evidence);
    const costs = budget.costs(layers, options, write);
    const items = layers.map((_, l) =>
      options.map((__, o) => ({ cost: costs[l]![o]!, loss: losses[l]![o]! })),
    );
    const chosen = withinBudget(items, layers, options, write, budget);
    const decided = layers.map((node, l) => [
      node,
      {
        bits: options[chosen[l]!]!,
        options: options.map((bits, o) => ({ bits, ...items[l]![o]! })),
      },
    ]);
    const decisions = Object.fromEntries(decided) as Decisions['layers'];
    const float = layers.filter((node) => decisions[node]!.bits === 32);
    return { ranges, smoothings, float, layers: decisions };
  },

  /** Every layer at the middle width. */
  standIn: (request) => {
    const options = optionsOf(request);
    const bits = options[Math.floor(options.length / 2)]!;
    return {
      ranges: null,
      smoothings: [],
      float: [],
      layers: Object.fromEntries(request.sites.map(({ node }) => [node, { bits, options: [] }])),
    };
  },

  rewrite(request, { ranges, smoothings, layers }) {
    const widths = new Map(Object.entries(layers).map(([node, { bits }]) => [node, bits]));
    return writeWidths(staticOf(request), { ranges, smoothings }, widths);
  },
};
export default mixed;

type Widths = ReadonlyMap<string, Width>;

const staticOf = (request: StepRequest<Parameters>): Static => ({
  graph: request.graph,
  facts: request.facts,
  sites: request.sites,
  ruled: new Set(),
  opset: optionsOf(request).includes(4) ? INT4_OPSET : QDQ_OPSET,
});

/** Widths from the largest on; 4 bits only where the model can hold them. */
function optionsOf({ graph, facts, parameters: { widths } }: StepRequest<Parameters>): Width[] {
  const canHold = !whyNoInt4(graph, facts);
  return WIDTHS.filter((width) => widths.includes(width) && (width !== 4 || canHold));
}

/** Layers that `widths` does not name stay as they are. */
function writeWidths(
  request: Static,
  measured: Pick<Decided, 'ranges' | 'smoothings'>,
  widths: Widths,
): readonly Refusal[] {
  const isFloat = (node: string) => (widths.get(node) ?? 32) === 32;
  const float = request.sites.map(({ node }) => node).filter(isFloat);
  const bits = new Map<string, WeightBits>();
  for (const [node, width] of widths) if (width !== 32) bits.set(node, width);
  const scheme = { perChannel: true, paired: true, activations: 'asymmetric', bits } as const;
  return writeStatically(request, { ...measured, float }, scheme);
}

// ---- what a width loses and costs

/** Change of the outputs with one layer alone at each width: Σ(a − b)² / Σa². */
async function lossesOf(
  layers: readonly string[],
  options: readonly Width[],
  write: (widths: Widths) => Graph,
  evidence: Evidence,
): Promise<number[][]> {
  const narrow = options.filter((width) => width !== 32);
  const candidates = layers.flatMap((node) =>
    narrow.map((width) => write(new Map([[node, width]]))),
  );
  const found = await evidence.deviations(candidates);
  return layers.map((node, l) =>
    options.map((width) => {
      const loss = width === 32 ? 0 : found[l * narrow.length + narrow.indexOf(width)]!;
      if (Number.isFinite(loss)) return loss;
      throw new WhittleError(`the outputs are not finite with ${node} in ${width} bits`, {
        where: node,
        hint: 'Leave the layer out with `except`',
      });
    }),
  );
}

interface Budget {
  readonly most: number;
  /** How an amount is told. */
  readonly text: (amount: number) => string;
  readonly of: (graph: Graph) => number;
  /** Of every layer by width, such that sums are near what `of` finds. */
  readonly costs: (
    layers: readonly string[],
    options: readonly Width[],
    write: (widths: Widths) => Graph,
  ) => number[][];
}

/** @throws WhittleError unless exactly one budget is given */
function budgetOf(request: StepRequest<Parameters>): Budget {
  const { share, bytes, latencyMs, target } = request.parameters;
  if ([share, bytes, latencyMs].filter((given) => given !== undefined).length !== 1)
    throw new WhittleError('quantize.mixed needs one budget', {
      hint: 'Give one of `share`, `bytes` and `latencyMs`',
    });
  if (latencyMs === undefined) return sizeBudget(bytes ?? share! * weightBytes(request.graph));
  if (target === undefined)
    throw new WhittleError('a budget of latency needs a target', {
      hint: 'Add `target: mobile.pixel3-cpu`, say',
    });
  return latencyBudget(request, latencyMs, target);
}

function weightBytes(graph: Graph): number {
  let bytes = 0;
  for (const tensor of graph.initializers.values()) bytes += tensorByteLength(tensor);
  for (const { op, outputs } of graph.order)
    if (op === 'Constant') bytes += tensorByteLength(graph.constant(outputs[0]!) ?? NOTHING);
  return bytes;
}
const NOTHING = { elementType: 'uint8', dims: [0] } as const;

function sizeBudget(most: number): Budget {
  return {
    most: Math.floor(most),
    text: (bytes) => `${Math.ceil(bytes)} bytes of weights`,
    of: weightBytes,
    costs(layers, options, write) {
      const none = weightBytes(write(new Map()));
      const shared = none / layers.length; // what no choice changes
      return layers.map((node) =>
        options.map((width) => weightBytes(write(new Map([[node, width]]))) - none + shared),
      );
    },
  };
}

function latencyBudget(request: StepRequest<Parameters>, most: number, target: string): Budget {
  const traits = traitsOf(request, target);
  const latencies = (graph: Graph) =>
    traits.latencies({ graph, facts: factsOf(graph, request.facts) });
  return {
    most,
    text: (ms) => `${ms.toPrecision(4)} ms on ${traits.id}`,
    of: (graph) => latencies(graph).totalMs,
    /** A layer with the conversions that serve it, in a graph where all layers have that width. */
    costs(layers, options, write) {
      const found = layers.map(() => new Array<number>(options.length).fill(0));
      const places = new Map(layers.map((node, l) => [request.graph.node(node)!.origin, l]));
      options.forEach((width, o) => {
        const graph = write(new Map(layers.map((node) => [node, width])));
        const { totalMs, layersMs } = latencies(graph);
        let rest = totalMs;
        for (const [id, ms] of layersMs) {
          const place = places.get(graph.node(id)?.origin ?? '');
          if (place === undefined) continue;
          found[place]![o]! += ms;
          rest -= ms;
        }
        found.forEach((costs) => (costs[o]! += rest / layers.length));
      });
      return found;
    },
  };
}

/** Halvings of what the sums of layers may be, where what is written takes more than them. */
const HALVINGS = 10;

/**
 * The best choice for the sums of the layers' costs; where conversions between widths make the written graph cost more, for
 * the largest sums with which it keeps to the budget.
 * @throws WhittleError that says the least that is possible
 */
function withinBudget(
  items: readonly (readonly Choice[])[],
  layers: readonly string[],
  options: readonly Width[],
  write: (widths: Widths) => Graph,
  { most, of, text }: Budget,
): number[] {
  const written = (chosen: readonly number[]) =>
    of(write(new Map(layers.map((node, l) => [node, options[chosen[l]!]!]))));
  const fitting = (budget: number) => {
    const chosen = leastLoss(items, budget);
    return chosen && written(chosen) <= most ? chosen : undefined;
  };
  const whole = fitting(most);
  if (whole) return whole;
  let [low, high] = [cheapestCost(items) * (1 + 1e-12), most];
  const cheapest = leastLoss(items, low)!;
  const least = written(cheapest);
  if (least > most)
    throw new WhittleError(
      `no choice of bits keeps to ${text(most)}: the least is ${text(least)}`,
      { hint: 'Raise the budget, or allow more layers' },
    );
  let best = cheapest;
  for (let i = 0; i < HALVINGS && low < high; i++) {
    const middle = (low + high) / 2;
    const found = fitting(middle);
    if (found) [best, low] = [found, middle];
    else high = middle;
  }
  return best;
}
