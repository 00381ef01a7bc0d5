/** Sensitivities made up from names, and what a view shows of them. */
import type {
  EffectsInView,
  EffectsRequest,
  GraphView,
  SensitivityLayer,
  StepSensitivity,
} from '../../../language/protocol';
import { PASSES } from './catalogue';
import { choose, type Step } from './engine';
import type { Layer } from './models';

/** What a result stands on: the steps before, and the step without its exceptions. */
function keyOf(steps: readonly Step[], index: number): string {
  const { pass, parameters } = steps[index]!;
  const earlier = steps.slice(0, index).filter((step) => step.enabled);
  return JSON.stringify([pass, parameters, earlier]);
}

export function sensitivityOf(
  steps: readonly Step[],
  index: number,
  layers: readonly Layer[],
  { byMetric, madeUp }: { readonly byMetric: boolean; readonly madeUp: boolean },
): StepSensitivity {
  const { pass } = steps[index]!;
  const found = choose(steps[index]!, layers)
    .chosen.map(({ id, op }): SensitivityLayer => {
      const error = 10 ** -(2 + (numberOf(id) % 300) / 100);
      if (byMetric) return { node: id, op, metric: 0.97 - error, drop: error / 0.97 };
      return { node: id, op, error, sqnrDb: -10 * Math.log10(error) };
    })
    .sort((a, b) => (b.error ?? b.drop ?? 0) - (a.error ?? a.drop ?? 0));
  return {
    pass,
    title: PASSES.find(({ id }) => id === pass)!.title,
    step: index,
    judge: byMetric ? 'top1' : 'output error',
    data: madeUp ? 'made-up inputs' : 'shapes.dataset.yaml',
    before: byMetric ? 0.97 : null,
    layers: found,
    skipped: [],
    key: keyOf(steps, index),
    origins: found.map(({ node }) => node),
    byMetric,
    madeUp,
  };
}

const numberOf = (name: string): number =>
  Array.from(name).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);

export function placesOf(
  { key, pass, layers: asked }: EffectsRequest,
  steps: readonly Step[],
  layers: readonly Layer[],
  { nodes }: GraphView,
): EffectsInView {
  const match = steps.findIndex((step, index) => step.pass === pass && keyOf(steps, index) === key);
  const step = match >= 0 ? match : steps.findIndex((one) => one.pass === pass);
  const runs = step >= 0 && steps[step]!.enabled;
  const sites = runs ? choose(steps[step]!, layers).chosen.map(({ id }) => id) : [];
  return {
    key,
    step: step < 0 ? null : step,
    stale: match < 0,
    shown: asked.map((layer) => innermost(layer, layers, nodes)),
    worked: runs ? asked.map((layer) => sites.includes(layer)) : null,
    others: sites.filter((site) => !asked.includes(site)).length,
  };
}

/** Frames come before what they hold. */
function innermost(
  layer: string,
  layers: readonly Layer[],
  nodes: GraphView['nodes'],
): string | null {
  const place = layers.findIndex(({ id }) => id === layer);
  const holds = (id: string): boolean => {
    const [first, last = first] = id.split('…') as [string, string?];
    const within = (block: string) => (one: Layer) =>
      one.id === block || one.id.startsWith(`${block}/`);
    const from = layers.findIndex(within(first));
    return from >= 0 && place >= from && place <= layers.findLastIndex(within(last));
  };
  return nodes.findLast(({ id }) => holds(id))?.id ?? null;
}
