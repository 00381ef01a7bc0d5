/** Works a recipe out on a model: what each layer is before and after, and what it costs. */
import type { Change, NodeCost, StepSummary } from '../../../language/protocol';
import { DEVICES, PASSES, type Device } from './catalogue';
import { layersOf, type Layer, type Model } from './models';

export interface Step {
  pass: string;
  at: string[] | undefined;
  except: string[];
  enabled: boolean;
  parameters: Record<string, unknown>;
}

/** A layer as it stands at some point of the recipe. */
export interface Facts {
  readonly tokens: number;
  readonly bits: number;
  readonly density: number;
  readonly channels: number;
  readonly removed: boolean;
  readonly device: string | null;
  readonly family: StepSummary['family'] | null;
}

export interface Worked {
  readonly before: ReadonlyMap<string, Facts>;
  readonly after: ReadonlyMap<string, Facts>;
  readonly steps: readonly StepSummary[];
  /** Layers after which tokens are dropped. */
  readonly stages: ReadonlySet<string>;
}

const PLAIN: Facts = {
  tokens: 197,
  bits: 32,
  density: 1,
  channels: 1,
  removed: false,
  device: null,
  family: null,
};

export function work(model: Model, steps: readonly Step[], target: string): Worked {
  const layers = layersOf(model.parts);
  const before = new Map(layers.map(({ id }) => [id, PLAIN]));
  const stages = new Set<string>();
  let state: ReadonlyMap<string, Facts> = before;
  let failed = false;
  const summaries = steps.map((step): StepSummary => {
    const pass = PASSES.find(({ id }) => id === step.pass)!;
    const { chosen, skipped } = choose(step, layers);
    const error = !step.enabled ? undefined : failed ? undefined : problemOf(step, chosen.length);
    const next =
      step.enabled && !failed && !error ? rewrite(step, layers, chosen, state, stages) : state;
    failed ||= error !== undefined;
    const latencyMs: Change = {
      before: totalMs(layers, state, target),
      after: totalMs(layers, next, target),
      ...(step.pass === 'prune.magnitude' ? { estimated: step.parameters.scope === 'global' } : {}),
    };
    state = next;
    const summary = {
      pass: step.pass,
      title: pass.title,
      family: pass.family,
      enabled: step.enabled,
      at: step.at,
      except: step.except,
      parameters: step.parameters,
      sites: chosen.length,
      skipped,
      latencyMs,
    };
    return error ? { ...summary, error } : summary;
  });
  return { before, after: state, steps: summaries, stages };
}

function problemOf(step: Step, sites: number): string | undefined {
  if (sites === 0) return `nothing matches ${step.at?.join(', ') ?? 'its default sites'}`;
  if (step.pass === 'target.assign' && typeof step.parameters.target !== 'string')
    return 'parameter target is missing: choose where these layers run';
  return undefined;
}

/** Why a pass cannot take a layer, or null. */
export function refusalOf(pass: string, layer: Layer): string | null {
  const weighted = layer.parameters > 0 && layer.macs > 0;
  switch (pass) {
    case 'tokens.topk':
      return layer.op === 'Softmax' ? null : 'no class attention here';
    case 'target.assign':
      return null;
    case 'graph.truncate-stages':
      return layer.op === 'Conv' && layer.id.includes('layer') ? null : 'no shortcut around it';
    case 'prune.channels':
      return weighted && layer.id !== '/head' ? null : 'its output is read by name';
    default:
      return weighted ? null : `${layer.op} holds no weights`;
  }
}

export function choose(step: Step, layers: readonly Layer[]) {
  const named = layers.filter(
    ({ id }) => matches(id, step.at ?? ['**']) && !matches(id, step.except),
  );
  const chosen = named.filter((layer) => refusalOf(step.pass, layer) === null);
  const skipped = named
    .filter((layer) => refusalOf(step.pass, layer) !== null && layer.macs > 0)
    .map((layer) => ({ node: layer.id, reason: refusalOf(step.pass, layer)! }));
  return { chosen: step.at || step.pass !== 'tokens.topk' ? chosen : spread(chosen), skipped };
}

function spread(sites: readonly Layer[]): Layer[] {
  return sites.filter((_, index) => index > 0 && index % 3 === 0);
}

function matches(id: string, selectors: readonly string[]): boolean {
  return selectors.some((selector) => {
    const pattern = selector
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replaceAll('**', '\u0000')
      .replaceAll('*', '[^/]*')
      .replaceAll('\u0000', '.*');
    return new RegExp(`^${pattern}(/.*)?$`).test(id);
  });
}

function rewrite(
  step: Step,
  layers: readonly Layer[],
  chosen: readonly Layer[],
  state: ReadonlyMap<string, Facts>,
  stages: Set<string>,
): ReadonlyMap<string, Facts> {
  const next = new Map(state);
  const change = (layer: Layer, patch: Partial<Facts>) =>
    next.set(layer.id, {
      ...next.get(layer.id)!,
      ...patch,
      family: PASSES.find(({ id }) => id === step.pass)!.family,
    });
  const number = (name: string) => Number(step.parameters[name]);
  switch (step.pass) {
    case 'quantize.int8':
      for (const layer of chosen) change(layer, { bits: 8 });
      break;
    case 'quantize.weights-int4':
      for (const layer of chosen) change(layer, { bits: number('bits') });
      break;
    case 'prune.magnitude':
      for (const layer of chosen) change(layer, { density: 1 - number('ratio') });
      break;
    case 'prune.channels':
      for (const layer of chosen) change(layer, { channels: 1 - number('ratio') });
      break;
    case 'target.assign':
      for (const layer of chosen) change(layer, { device: String(step.parameters.target) });
      break;
    case 'graph.truncate-stages':
      for (const layer of chosen) change(layer, { removed: true });
      break;
    case 'tokens.topk':
      dropTokens(step, layers, chosen, next, stages, change);
      break;
  }
  return next;
}

function dropTokens(
  step: Step,
  layers: readonly Layer[],
  chosen: readonly Layer[],
  next: ReadonlyMap<string, Facts>,
  stages: Set<string>,
  change: (layer: Layer, patch: Partial<Facts>) => void,
): void {
  const keep = step.parameters.keep;
  chosen.forEach((site, stage) => {
    const part = Array.isArray(keep)
      ? Number(keep[stage] ?? keep.at(-1))
      : Number(keep) ** (stage + 1);
    stages.add(site.id);
    for (const layer of layers.slice(layers.indexOf(site) + 1))
      if (layer.tokens > 0 && next.has(layer.id))
        change(layer, { tokens: 1 + Math.ceil(196 * part) });
  });
}

// ---- costs

export function macsOf(layer: Layer, facts: Facts): number {
  if (facts.removed) return 0;
  const tokens = layer.tokens === 0 ? 1 : facts.tokens ** layer.tokens;
  return Math.round(layer.macs * tokens * facts.channels);
}

export function parametersOf(layer: Layer, facts: Facts): number {
  return facts.removed ? 0 : Math.round(layer.parameters * facts.channels);
}

export function weightBytesOf(layer: Layer, facts: Facts): number {
  return Math.round((parametersOf(layer, facts) * facts.bits) / 8);
}

export function activationBytesOf(layer: Layer, facts: Facts): number {
  const sizes = layer.shape.replaceAll('T', String(facts.tokens)).split('×').map(Number);
  return facts.removed
    ? 0
    : sizes.reduce((product, size) => product * size, 1) * (facts.bits >= 32 ? 4 : 1);
}

export interface Terms {
  readonly compute: number;
  readonly bandwidth: number;
  readonly overhead: number;
}

export function termsOf(layer: Layer, facts: Facts, target: string): Terms {
  const device = deviceOf(facts.device ?? target);
  if (facts.removed) return { compute: 0, bandwidth: 0, overhead: 0 };
  const speed = facts.bits <= 8 ? device.int8 : 1;
  const macs = macsOf(layer, facts) * (device.kind === 'asic' ? facts.density : 1);
  const bytes = weightBytesOf(layer, facts) + activationBytesOf(layer, facts) * 0.15;
  return {
    compute: macs / device.rate / speed,
    bandwidth: bytes / device.bytesPerMs,
    overhead: device.layerMs,
  };
}

export function msOf(layer: Layer, facts: Facts, target: string): number {
  const { compute, bandwidth, overhead } = termsOf(layer, facts, target);
  return compute + bandwidth + overhead;
}

export function energyOf(layer: Layer, facts: Facts, target: string): number | null {
  const { picojoulePerMac } = deviceOf(target);
  if (picojoulePerMac === null) return null;
  const scale = facts.bits <= 8 ? 0.4 : 1;
  return (
    (macsOf(layer, facts) * picojoulePerMac * scale + weightBytesOf(layer, facts) * 600) * 1e-9
  );
}

export function deviceOf(target: string): Device {
  return DEVICES.find(({ id }) => id === target) ?? DEVICES[0]!;
}

export function totalMs(
  layers: readonly Layer[],
  state: ReadonlyMap<string, Facts>,
  target: string,
): number {
  return layers.reduce((sum, layer) => sum + msOf(layer, state.get(layer.id)!, target), 0);
}

/** Sums of some layers, and their shares of all. */
export function costOf(
  part: readonly Layer[],
  all: readonly Layer[],
  { before, after }: Worked,
  target: string,
): NodeCost {
  const sum = (layers: readonly Layer[], of: (layer: Layer, facts: Facts) => number | null) => {
    const change = (state: ReadonlyMap<string, Facts>) => {
      const numbers = layers.map((layer) => of(layer, state.get(layer.id)!));
      return numbers.some((number) => number === null)
        ? null
        : (numbers as number[]).reduce((total, number) => total + number, 0);
    };
    return { before: change(before), after: change(after) };
  };
  const share = (of: (layer: Layer, facts: Facts) => number | null) => {
    const own = sum(part, of).after;
    const whole = sum(all, of).after;
    return own === null || whole === null ? null : whole === 0 ? 0 : own / whole;
  };
  const ms = (layer: Layer, facts: Facts) => msOf(layer, facts, target);
  const energy = (layer: Layer, facts: Facts) => energyOf(layer, facts, target);
  const terms = part.map((layer) => termsOf(layer, after.get(layer.id)!, target));
  const bandwidth = terms.reduce((total, term) => total + term.bandwidth, 0);
  const compute = terms.reduce((total, term) => total + term.compute, 0);
  return {
    macs: sum(part, macsOf),
    parameters: sum(part, parametersOf),
    latencyMs: sum(part, ms),
    energyMj: sum(part, energy),
    activationBytes: sum(part, activationBytesOf),
    share: {
      latency: share(ms),
      energy: share(energy),
      macs: share(macsOf),
      parameters: share(parametersOf),
      activations: share(activationBytesOf),
    },
    bound: bandwidth > compute ? 'weight bandwidth' : 'compute',
    unknown: null,
  };
}
