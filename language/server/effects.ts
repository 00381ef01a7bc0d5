/** What a measured sensitivity stands on, and what of it still holds when the recipe has changed. */
import { statSync } from 'node:fs';
import { dataSummary, type Subject } from '../design/design';
import { drawnIn, type ViewRequest } from '../design/view';
import type { Graph } from '../graph/graph';
import type { EffectsInView, EffectsRequest, Sensitivity, StepSensitivity } from '../protocol';
import { enabledSteps } from '../recipe/decisions';
import { textHash } from '../recipe/files';
import { describedData } from '../recipe/hashes';
import { parameterProperties, type Recipe, type Step } from '../recipe/recipe';

/** Where a subject's files are. */
export interface Place {
  readonly folder: string;
  /** Changes with the model's file. */
  readonly modelStamp: string;
}

/**
 * Model, data, the steps before and the step's own parameters. Layers are changed one at a time, so that what else the step
 * works on makes no difference, unless its parameters are one per selector.
 */
export function effectKey({ bound, recipe }: Subject, step: Step, place: Place): string {
  const { steps = [], calibration, evaluation } = recipe?.recipe ?? {};
  const earlier = enabledSteps(steps.slice(0, step.index)).map((before) => [
    before.pass.id,
    before.at ?? null,
    before.except,
    before.parameters,
  ]);
  const own = [step.pass.id, step.parameters, isPerSite(step) ? (step.at ?? null) : null];
  const data = [calibration, evaluation].map((chosen) =>
    chosen ? [chosen, dataStamp(chosen, place.folder)] : null,
  );
  const origin = [bound.file, place.modelStamp, [...bound.inputs]];
  return textHash(JSON.stringify([origin, earlier, own, data]));
}

function isPerSite({ pass, parameters }: Step): boolean {
  const values = parameters as Readonly<Record<string, unknown>>;
  return Object.entries(parameterProperties(pass)).some(
    ([name, { perSite }]) => perSite === true && Array.isArray(values[name]),
  );
}

/** Changes with the description of a data set and with the files that it names. */
function dataStamp({ dataset }: NonNullable<Recipe['calibration']>, folder: string): unknown {
  try {
    const { description, files } = describedData(dataset, folder);
    return [description, files.map(fileStamp)];
  } catch {
    return 'unreadable'; // said where it is used
  }
}

function fileStamp(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs} ${stat.size}` : 'absent';
}

/** An answer of the engine as the designer keeps it. */
export function keptSensitivity(
  found: Sensitivity,
  subject: Subject,
  about: { readonly key: string; readonly byMetric: boolean },
): StepSensitivity {
  const { calibration, evaluation } = subject.recipe?.recipe ?? {};
  const judgedOn = about.byMetric ? evaluation : (calibration ?? evaluation);
  const graph = before(subject, found.step);
  return {
    ...found,
    ...about,
    origins: found.layers.map(({ node }) => originIn(graph, node)),
    madeUp: dataSummary(judgedOn)?.generated ?? true,
  };
}

/** The graph as it stands when the turn of a step comes. */
function before({ bound, preview }: Subject, step: number): Graph {
  const earlier = preview.outcomes.filter((outcome) => outcome.step.index < step);
  return (earlier.at(-1)?.situation ?? bound).graph;
}

const originIn = (graph: Graph, node: string): string => graph.node(node)?.origin ?? node;

export function effectsInView(
  subject: Subject,
  picture: ViewRequest,
  { key, pass, step: index, layers }: EffectsRequest,
  place: Place,
): EffectsInView {
  const steps = subject.recipe?.recipe.steps ?? [];
  const same = steps.filter((step) => step.pass.id === pass);
  const matching = same.find((step) => effectKey(subject, step, place) === key);
  const step = matching ?? same.find((one) => one.index === index) ?? same[0];
  const sites = step && sitesOf(subject, step);
  const drawn = drawnIn(picture);
  return {
    key,
    step: step?.index ?? null,
    stale: matching === undefined,
    shown: layers.map((layer) => drawn.get(layer) ?? null),
    worked: sites ? layers.map((layer) => sites.has(layer)) : null,
    others: [...(sites ?? [])].filter((site) => !layers.includes(site)).length,
  };
}

/** The nodes of the original model that a step works on; undefined while it cannot run, or is switched off. */
function sitesOf(subject: Subject, step: Step): ReadonlySet<string> | undefined {
  const outcome = subject.preview.outcomes.find((one) => one.step === step);
  if (!outcome) return undefined;
  const graph = before(subject, step.index);
  const left = new Set(outcome.skipped.map(({ node }) => node));
  const sites = outcome.sites.filter(({ node }) => !left.has(node));
  return new Set(sites.map(({ node }) => originIn(graph, node)));
}
