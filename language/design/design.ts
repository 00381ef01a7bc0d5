/** Everything that the designer shows of one document at one moment. */
import path from 'node:path';
import { NEGLIGIBLE, NOT_VALIDATED } from '../cost/confidence';
import type { TargetEstimate } from '../cost/cost';
import { counts, type Counts } from '../cost/counts';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { describeError } from '../errors';
import type { Dim, ValueInfo } from '../onnx/model';
import type { Situation } from '../passes/pass';
import type {
  Change,
  DataSummary,
  Design,
  Family,
  ModelSummary,
  Problem,
  RecipeSummary,
  StepSummary,
  TargetConfidence,
  TargetTotals,
  ValueSummary,
} from '../protocol';
import type { BoundModel } from '../recipe/opened';
import { needsCalibration, type Recipe, type RecipeProblem, type Step } from '../recipe/recipe';
import type { Preview } from '../recipe/run';
import { isMadeUp } from '../recipe/schema';
import { costOn, sideOf, type ResolveTarget } from './costing';
import { roundingsOf } from './rounding';
import { defaultOpen, graphView, type ViewRequest } from './view';

/** A document as it stands: a model, and a recipe over it unless the document is the model itself. */
export interface Subject {
  readonly bound: BoundModel;
  readonly recipe: SubjectRecipe | undefined;
  readonly preview: Preview;
  readonly resolve: ResolveTarget;
}

export interface SubjectRecipe {
  readonly name: string;
  readonly recipe: Recipe;
  readonly problems: readonly RecipeProblem[];
}

export interface Look {
  /** The target that nodes show. */
  readonly target: TargetProfile;
  /** Open blocks and stacks; null: those that show the model well. */
  readonly open: readonly string[] | null;
}

/** @param request as `viewRequest` makes it: who tells more of the same picture passes it on */
export function makeDesign(
  subject: Subject,
  look: Look,
  request = viewRequest(subject, look),
): Design {
  const { bound, preview, resolve } = subject;
  const after = afterOf(subject);
  const [countsBefore, countsAfter] = [countsOf(bound), countsOf(after)];
  const totals = targetsShown(subject, look.target).map((target) =>
    targetTotals(target, costOn(bound, target, resolve), costOn(after, target, resolve)),
  );
  return {
    model: modelSummary(bound, countsBefore),
    recipe: subject.recipe ? recipeSummary(subject, subject.recipe, look.target) : null,
    view: graphView(request),
    open: [...request.open],
    totals,
    counts: {
      macs: countChange(countsBefore, countsAfter, 'macs'),
      parameters: countChange(countsBefore, countsAfter, 'parameters'),
      weightBytes: countChange(countsBefore, countsAfter, 'weightBytes'),
    },
    problems: problemsOf(subject, preview),
  };
}

/** The model after every step that runs. */
export const afterOf = ({ bound, preview }: Subject): Situation =>
  preview.outcomes.at(-1)?.situation ?? bound;

export function viewRequest(subject: Subject, { target, open }: Look): ViewRequest {
  const before = sideOf(subject.bound, target, subject.resolve);
  const after = sideOf(afterOf(subject), target, subject.resolve);
  const families = new Map<string, Family>();
  for (const { step, touched } of subject.preview.outcomes)
    for (const node of touched) families.set(node, step.pass.family);
  return {
    before,
    after,
    families,
    open: open ? new Set(open) : defaultOpen(before),
    targetTitle: (id) => subject.resolve(id).title,
    roundings: roundingsOf(subject),
  };
}

/** The targets of the recipe, the shown one first where it is not among them. */
export function targetsShown({ recipe, resolve }: Subject, shown: TargetProfile): TargetProfile[] {
  const named = (recipe?.recipe.targets ?? []).flatMap((id) => tryResolve(resolve, id));
  return named.some((target) => target.id === shown.id) ? named : [shown, ...named];
}

function tryResolve(resolve: ResolveTarget, id: string): TargetProfile[] {
  try {
    return [resolve(id)];
  } catch {
    return []; // listed among the recipe's problems
  }
}

const countCache = new WeakMap<Situation['facts'], Counts>();
export function countsOf({ graph, facts }: Situation): Counts {
  let known = countCache.get(facts);
  if (!known) countCache.set(facts, (known = counts(graph, facts)));
  return known;
}

function countChange(
  before: Counts,
  after: Counts,
  key: 'macs' | 'parameters' | 'weightBytes',
): Change {
  const partial = key === 'macs' && (before.partial || after.partial);
  const known = (counted: Counts) =>
    key === 'macs' && counted.partial && counted.macs === 0 ? null : counted[key];
  return { before: known(before), after: known(after), ...(partial && { partial }) };
}

function targetTotals(
  target: TargetProfile,
  before: TargetEstimate,
  after: TargetEstimate,
): TargetTotals {
  const [old, fresh] = [before.total, after.total];
  const marks = {
    ...(fresh.estimated && { estimated: true }),
    ...((old.partial || fresh.partial) && { partial: true }),
  };
  return {
    target: target.id,
    title: target.title,
    latencyMs: { before: knownMs(before), after: knownMs(after), ...marks },
    energyMj: { before: old.energyMj, after: fresh.energyMj, ...marks },
    peakMemoryBytes: { before: old.peakMemoryBytes, after: fresh.peakMemoryBytes },
    bound: mostlyBoundBy(after),
    basis: describeBasis(target),
    confidence: confidenceOf(after),
    resources: after.resources ?? null,
    pipeline: after.pipeline ?? null,
    warnings: after.warnings,
  };
}

/** Null where no layer is known to take any time: then what is left is no least. */
function knownMs({ total, layers }: TargetEstimate): number | null {
  const nothing =
    total.partial && !layers.some(({ latencyMs }) => latencyMs !== null && latencyMs > 0);
  return nothing ? null : total.latencyMs;
}

/** Errors are of predictions: what would be measured is the prediction over one plus its error. */
function confidenceOf(cost: TargetEstimate): TargetConfidence {
  const { lowError, highError, unseenShare, note } = cost.confidence;
  const ms = knownMs(cost);
  const over = (error: number | null) => (ms === null || error === null ? null : ms / (1 + error));
  return {
    lowMs: over(highError),
    highMs: over(lowError),
    level:
      lowError === null || unseenShare > NOT_VALIDATED
        ? 'not validated'
        : unseenShare < NEGLIGIBLE
          ? 'validated'
          : 'wider',
    note,
  };
}

function mostlyBoundBy({ layers, transfers }: TargetEstimate): string {
  const sums = new Map<string, number>([['transfer', transfers.latencyMs]]);
  for (const { bound, latencyMs } of layers)
    sums.set(bound, (sums.get(bound) ?? 0) + (latencyMs ?? 0));
  const [most] = [...sums].sort((a, b) => b[1] - a[1]);
  return most && most[1] > 0 ? most[0] : '';
}

function modelSummary(
  { file, graph, assumed, free }: BoundModel,
  { unknown }: Counts,
): ModelSummary {
  const { model } = graph;
  return {
    name: path.basename(file),
    path: file,
    producer: model.producer,
    opset: graph.opset,
    ir: model.irVersion,
    nodes: graph.size,
    inputs: graph.inputs.map(portSummary),
    outputs: graph.outputs.map(portSummary),
    free,
    assumed,
    unknown,
  };
}

function portSummary({ name, type }: ValueInfo): ValueSummary {
  if (type.kind !== 'tensor') return { name, type: type.kind, shape: '' };
  return { name, type: type.elementType, shape: shapeText(type.shape) };
}

export const shapeText = (shape: readonly Dim[] | undefined): string =>
  shape ? shape.map((dim) => dim ?? '?').join(' × ') || 'scalar' : 'unknown';

function recipeSummary(
  subject: Subject,
  { name, recipe }: SubjectRecipe,
  target: TargetProfile,
): RecipeSummary {
  const latency = recipe.budget?.latency;
  return {
    name,
    data: {
      calibration: dataSummary(recipe.calibration),
      evaluation: dataSummary(recipe.evaluation),
    },
    calibrated: calibratedStep(recipe)?.pass.title ?? null,
    targets: recipe.targets,
    steps: recipe.steps.map((step) => stepSummary(subject, step, target)),
    budget: latency ? { target: latency.target, maxMs: latency.max } : null,
  };
}

/** The first step that runs and finds its ranges on calibration data. */
export const calibratedStep = ({ steps }: Recipe): Step | undefined =>
  steps.find((step) => step.enabled && !step.error && needsCalibration(step));

export function dataSummary(chosen: Recipe['calibration']): DataSummary | null {
  if (!chosen) return null;
  const { dataset, samples = null } = chosen;
  return {
    file: typeof dataset === 'string' ? dataset : null,
    generated: isMadeUp(dataset),
    samples,
  };
}

function stepSummary(
  { bound, preview, resolve }: Subject,
  step: Step,
  target: TargetProfile,
): StepSummary {
  const position = preview.outcomes.findIndex((outcome) => outcome.step === step);
  const outcome = preview.outcomes[position];
  const base = {
    pass: step.pass.id,
    title: step.pass.title,
    family: step.pass.family,
    enabled: step.enabled,
    at: step.at,
    except: step.except,
    parameters: step.parameters as Record<string, unknown>,
  };
  if (!outcome) {
    const failed =
      preview.failure?.step === step ? describeError(preview.failure.error) : step.error;
    return {
      ...base,
      sites: 0,
      skipped: [],
      latencyMs: { before: null, after: null },
      ...(failed && { error: failed }),
    };
  }
  const situation = preview.outcomes[position - 1]?.situation ?? bound;
  const [before, after] = [situation, outcome.situation].map((s) => costOn(s, target, resolve));
  return {
    ...base,
    sites: outcome.sites.length,
    skipped: outcome.skipped,
    latencyMs: {
      before: knownMs(before!),
      after: knownMs(after!),
      ...(after!.total.estimated && { estimated: true }),
      ...(after!.total.partial && { partial: true }),
    },
  };
}

function problemsOf({ bound, recipe }: Subject, { failure }: Preview): Problem[] {
  const problems: Problem[] = (recipe?.problems ?? []).map(({ severity, message, step }) => ({
    severity,
    message,
    ...(step !== undefined && { step }),
  }));
  if (failure && !failure.step.error)
    problems.push({
      severity: 'error',
      message: describeError(failure.error),
      step: failure.step.index,
    });
  for (const { node, reason } of bound.facts.problems)
    problems.push({ severity: 'warning', message: reason, node });
  return problems;
}
