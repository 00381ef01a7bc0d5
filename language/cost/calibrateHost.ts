/**
 * The profile of this machine, fitted to what the layers of some networks take on it. Every rate is fitted by itself:
 * layers tell apart what whole networks cannot. The fit is the least sum of squared relative errors of layers and of whole
 * networks, no rate below zero, with a weak pull towards the ratios of the profile that it starts from.
 */
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { errorOf, rounded, seenIn, type HeldOut } from './heldOut';
import { estimate } from './estimate';
import { kernels, type FusionRules, type Kernel } from './kernels';
import { demandsOf, ratesFor, type RateName } from './mobile';
import type { HostProfile, MobileProfile } from './profile';
import type { Workload } from './workload';
import { workloads } from './workloads';

/** A network and what it took, layer by layer. */
export interface ProfiledNetwork {
  readonly name: string;
  readonly graph: Graph;
  readonly facts: Facts;
  readonly layers: readonly MeasuredLayer[];
  readonly wholeMs: number;
}

export interface MeasuredLayer {
  readonly node: string;
  readonly ms: number;
  /** Nodes whose work it does beside its own. */
  readonly fused: readonly string[];
}

export interface HostCalibration {
  readonly profile: HostProfile;
  readonly heldOut: readonly HeldOut[];
}

/** What ONNX Runtime's CPU kernels take along. */
const FUSION: FusionRules = {
  afterProducts: [
    ...['bias', 'BatchNormalization', 'Relu', 'Clip', 'LeakyRelu', 'Sigmoid', 'Tanh'],
    'HardSigmoid',
  ],
  afterOthers: [],
  integer: ['conv', 'matmul', 'elementwise', 'pooling'],
  views: true,
};

/** @param conditions what the measurements hold for: processor, threads, batch */
export function calibrateHost(
  prior: MobileProfile,
  networks: readonly ProfiledNetwork[],
  { id, threads, conditions }: { id: string; threads: number; conditions: string },
): HostCalibration {
  const start = distinguished(prior.precisions);
  const measured = networks.map((network) => ({ network, regions: regionsOf(network) }));
  const draft: HostProfile = {
    id,
    kind: 'host',
    title: `This machine, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    threads,
    basis: prior.basis,
    sources: [`Measured: ${conditions}`],
    overlap: 'none',
    precisions: start,
    fusion: { ...FUSION } as HostProfile['fusion'],
    link: prior.link,
  };
  const fitted = (to: readonly Measured[]): HostProfile => ({
    ...draft,
    precisions: fit(start, to),
  });
  const all = fitted(measured);
  const heldOut = measured.map(({ network }): HeldOut => {
    const without = fitted(measured.filter((other) => other.network !== network));
    const total = (profile: HostProfile) =>
      estimate(network.graph, network.facts, profile).total.latencyMs;
    return {
      name: network.name,
      measuredMs: network.wholeMs,
      predictedMs: total(without),
      fittedMs: total(all),
    };
  });
  const layers = measured.reduce((sum, { regions }) => sum + regions.length, 0);
  return {
    profile: {
      ...all,
      basis: {
        status: 'calibrated',
        on: `${layers} layers of ${networks.length} networks measured here`,
        errors: [errorOf(heldOut, 'one network left out at a time')],
        limits: `Holds for ${conditions}.`,
        saw: seenIn(networks),
      },
    },
    heldOut,
  };
}

// ---- what was measured beside what is modelled

/** The smallest set of nodes that is whole kernels in the profile of ONNX Runtime and in the model of costs alike. */
interface Region {
  readonly ms: number;
  readonly work: readonly Workload[];
}

interface Measured {
  readonly network: ProfiledNetwork;
  readonly regions: readonly Region[];
}

function regionsOf({ graph, facts, layers }: ProfiledNetwork): Region[] {
  const work = workloads(graph, facts);
  const modelled = kernels(graph, work, FUSION);
  const sets = new DisjointSets();
  for (const { main, absorbed } of modelled) for (const { id } of absorbed) sets.join(main.id, id);
  for (const { node, fused } of layers) for (const id of fused) sets.join(node, id);
  const regions = new Map<string, { ms: number; work: Workload[] }>();
  const regionOf = (id: string) => {
    const root = sets.rootOf(id);
    let region = regions.get(root);
    if (!region) regions.set(root, (region = { ms: 0, work: [] }));
    return region;
  };
  for (const { node, ms } of layers) regionOf(node).ms += ms;
  for (const kernel of modelled) regionOf(kernel.main.id).work.push(...loopNests(kernel));
  return [...regions.values()].filter(
    ({ ms, work: own }) => own.length > 0 && ms > 0 && own.every(({ unknown }) => !unknown),
  );
}

class DisjointSets {
  readonly #above = new Map<Node['id'], string>();

  rootOf(id: string): string {
    let root = id;
    for (let next = this.#above.get(root); next !== undefined; next = this.#above.get(root))
      root = next;
    return root;
  }

  join(a: string, b: string): void {
    const [one, other] = [this.rootOf(a), this.rootOf(b)];
    if (one !== other) this.#above.set(other, one);
  }
}

/** Attention and recurrent cells are measured as a whole and modelled in parts; a part counts as often as it runs. */
function loopNests({ workload }: Kernel): Workload[] {
  const { kind, parts } = workload;
  if (kind === 'free') return [];
  if (!parts) return [workload];
  return parts.flatMap(({ times, workload: part }) =>
    Array.from({ length: Math.min(times, MOST_REPEATS) }, () => part),
  );
}

/** Loops that run longer are not what a rate is fitted to. */
const MOST_REPEATS = 64;

// ---- the fit

type Precisions = MobileProfile['precisions'];
/** A rate of a precision, or the start of a kernel. */
type Unknown = `${keyof Precisions}.${RateName | 'perKernelUs'}`;

/** With a rate of its own for everything that a profile may tell apart. */
function distinguished(precisions: Precisions): Precisions {
  const rates = (of: Precisions['fp32']): Precisions['fp32'] => ({
    attentionGmacPerS: of.pointwiseGmacPerS,
    movementGbPerS: of.activationGbPerS,
    normalisationGbPerS: of.activationGbPerS,
    ...of,
  });
  const { fp32, int8 } = precisions;
  return { fp32: rates(fp32), ...(int8 && { int8: rates(int8) }) };
}

/** Which of traffic and arithmetic hides the other depends on the rates, so the fit is repeated. */
const ROUNDS = 6;

function fit(prior: Precisions, networks: readonly Measured[]): Precisions {
  let precisions = prior;
  for (let round = 0; round < ROUNDS; round++) precisions = refit(prior, precisions, networks);
  return precisions;
}

/** A layer that takes less than this of its network may be off by as much. */
const NEGLIGIBLE_SHARE = 0.02;

function refit(prior: Precisions, now: Precisions, networks: readonly Measured[]): Precisions {
  const unknowns = unknownsOf(prior);
  const times = unknowns.map((unknown) => unitMs(prior, unknown));
  const place = new Map(unknowns.map((unknown, at) => [unknown, at]));
  const rowOf = ({ work }: Region): Float64Array => {
    const row = new Float64Array(unknowns.length);
    for (const workload of work)
      for (const [unknown, amount] of amountsOf(workload, now)) {
        const at = place.get(unknown)!;
        row[at]! += amount * times[at]!;
      }
    return row;
  };
  const known = networks.map(({ network, regions }) => ({ network, rows: regions.map(rowOf) }));
  const common = commonFactor(networks, known);
  const equations = new NormalEquations(unknowns.length);
  known.forEach(({ network, rows }, n) => {
    const { regions } = networks[n]!;
    const whole = new Float64Array(unknowns.length);
    rows.forEach((row, r) => {
      const { ms } = regions[r]!;
      const weight =
        1 / ((ms + NEGLIGIBLE_SHARE * network.wholeMs) * Math.sqrt(Math.max(1, rows.length)));
      equations.add(row, ms / common, weight * common);
      row.forEach((value, i) => (whole[i]! += value));
    });
    const wholeMs = regions.reduce((sum, { ms }) => sum + ms, 0);
    equations.add(whole, wholeMs / common, common / network.wholeMs);
  });
  const factors = equations.solve().map((factor) => common * Math.max(LEAST, factor));
  return withFactors(prior, unknowns, factors);
}

/** What a loop nest adds up to by unknown: ms = amount × the time of one unit. */
function* amountsOf(workload: Workload, precisions: Precisions): Generator<[Unknown, number]> {
  const { name, rates } = ratesFor(workload, { precisions });
  yield [`${name}.perKernelUs`, 1];
  for (const { rate, amount } of demandsOf(workload, rates)) yield [`${name}.${rate}`, amount];
}

function unknownsOf(prior: Precisions): Unknown[] {
  return (Object.keys(prior) as (keyof Precisions)[]).flatMap((precision) =>
    Object.entries(prior[precision] ?? {})
      .filter(([name, rate]) => rate !== undefined && name !== 'halfDepth' && name !== 'perRunUs')
      .map(([name]) => `${precision}.${name as RateName | 'perKernelUs'}` as const),
  );
}

function unitMs(prior: Precisions, unknown: Unknown): number {
  const [precision, name] = unknown.split('.') as [keyof Precisions, RateName | 'perKernelUs'];
  const value = prior[precision]![name]!;
  return name === 'perKernelUs' ? value / 1e3 : 1 / value;
}

/** How much slower or faster than the profile the machine is all in all. */
function commonFactor(
  networks: readonly Measured[],
  known: readonly { readonly rows: readonly Float64Array[] }[],
): number {
  const logs = known.map(({ rows }, n) => {
    const modelledMs = rows.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0);
    const measuredMs = networks[n]!.regions.reduce((sum, { ms }) => sum + ms, 0);
    return Math.log(measuredMs / modelledMs);
  });
  return Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length);
}

function withFactors(
  prior: Precisions,
  unknowns: readonly Unknown[],
  factors: readonly number[],
): Precisions {
  const out = structuredClone(prior) as Record<string, Record<string, number>>;
  unknowns.forEach((unknown, i) => {
    const [precision, name] = unknown.split('.') as [string, string];
    const rates = out[precision]!;
    const slower = factors[i]!;
    rates[name] = rounded(name === 'perKernelUs' ? rates[name]! * slower : rates[name]! / slower);
  });
  return out as unknown as Precisions;
}

/** How strongly, against one network, a factor is pulled to the one that would fit alone. */
const PULL = 0.03;
/** No factor may vanish: a rate must stay finite. */
const LEAST = 0.01;
const SWEEPS = 2000;
const SETTLED = 1e-9;

/** Non-negative least squares with a pull towards 1, by descent along one unknown after the other. */
class NormalEquations {
  readonly #matrix: Float64Array[];
  readonly #right: Float64Array;

  constructor(private readonly size: number) {
    this.#matrix = Array.from({ length: size }, (_, i) => {
      const row = new Float64Array(size);
      row[i] = PULL ** 2;
      return row;
    });
    this.#right = new Float64Array(size).fill(PULL ** 2);
  }

  add(row: Float64Array, right: number, weight: number): void {
    const square = weight ** 2;
    for (let i = 0; i < this.size; i++) {
      if (row[i] === 0) continue;
      this.#right[i]! += square * row[i]! * right;
      for (let j = 0; j < this.size; j++) this.#matrix[i]![j]! += square * row[i]! * row[j]!;
    }
  }

  solve(): number[] {
    const found = new Array<number>(this.size).fill(1);
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      let change = 0;
      for (let i = 0; i < this.size; i++) {
        const row = this.#matrix[i]!;
        const sum = found.reduce((total, value, j) => total + row[j]! * value, 0);
        const next = Math.max(0, found[i]! + (this.#right[i]! - sum) / row[i]!);
        change = Math.max(change, Math.abs(next - found[i]!));
        found[i] = next;
      }
      if (change < SETTLED) break;
    }
    return found;
  }
}
