/**
 * Running the steps of a recipe over a graph. Preview and apply take the same way: select sites, get decisions (planned,
 * remembered or stood in for), rewrite, infer shapes again. Only where decisions come from differs.
 */
import path from 'node:path';
import { WhittleError } from '../errors';
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import { inferShapes } from '../graph/shapes/infer';
import type { Shape } from '../onnx/model';
import type { Pass, Refusal, SelectedSite, Sites, Situation, StepRequest } from '../passes/pass';
import { targetProfile } from './bundled';
import type { Step } from './recipe';
import { selectNodes } from './selector';
import { traitsOf } from './traits';

/** A model opened for a recipe: the graph as it was read, and the input shapes that everything is inferred with. */
export interface Base extends Situation {
  readonly inputs: ReadonlyMap<string, Shape>;
}

/** A step about to run. */
export interface Prepared {
  readonly step: Step;
  readonly request: StepRequest<unknown>;
  readonly refused: readonly Refusal[];
}

/** A step that has run. */
export interface Outcome {
  readonly step: Step;
  /** After the step. */
  readonly situation: Situation;
  readonly sites: readonly SelectedSite[];
  readonly skipped: readonly Refusal[];
  /** Nodes that the step changed or put in. */
  readonly touched: ReadonlySet<string>;
  /** The decisions were stood in for. */
  readonly estimated: boolean;
}

/**
 * Which sites a step takes.
 * @throws WhittleError when a selector matches nothing, when nothing at all can be taken, or when a strict step would skip
 */
export function prepareStep(base: Base, now: Situation, step: Step): Prepared {
  if (step.error) throw new WhittleError(step.error, { where: `step ${step.index + 1}` });
  const { pass } = step;
  const { sites, refused } = sitesOf(pass, now);
  if (sites.length === 0 && !step.at) throw nothingToDo(step, refused);
  const { selected, skipped, empty } = step.at
    ? selectSites(base, now.graph, step, sites, refused)
    : { selected: defaultSites(step, sites), skipped: refused, empty: false };
  if (selected.length === 0 && !empty) throw nothingToDo(step, skipped);
  const [first] = skipped;
  if (step.strict && first)
    throw new WhittleError(`${pass.id} cannot take ${first.node}: ${first.reason}`);
  return {
    step,
    request: {
      ...now,
      sites: selected,
      parameters: step.parameters,
      traits: (target) => traitsOf(targetProfile(target, folderOf(base)), now.graph, now.facts),
    },
    refused: skipped,
  };
}

/** Paths of profiles start beside the model. */
const folderOf = ({ graph }: Base): string => path.dirname(graph.model.path ?? '.');

const knownSites = new WeakMap<Facts, Map<Pass, Sites>>();

/** What a pass can work on in one state of a graph, kept with the facts of that state. */
export function sitesOf(pass: Pass, situation: Situation): Sites {
  const known = knownSites.get(situation.facts) ?? new Map<Pass, Sites>();
  knownSites.set(situation.facts, known);
  let sites = known.get(pass);
  if (!sites) known.set(pass, (sites = pass.sites(situation)));
  return sites;
}

/**
 * Rewrites by decisions; the graph before is left as it was. What a step came to the last time, with other parameters on
 * the same model, is the `earlier` situation: what is the same now is taken over from it.
 */
export function applyDecisions(
  base: Base,
  { step, request, refused }: Prepared,
  decisions: unknown,
  estimated: boolean,
  earlier?: Situation,
): Outcome {
  const graph = request.graph.fork();
  const late = step.pass.rewrite({ ...request, graph }, decisions);
  const touched = changedNodes(request.graph, graph);
  if (earlier) graph.settle(earlier.graph, request.graph);
  const previous = earlier?.facts ?? request.facts;
  const facts = inferShapes(graph, { inputs: base.inputs, previous });
  graph.dropValueInfos(
    (info) => graph.hasValue(info.name) && sameType(info, facts.value(info.name)),
  );
  const skipped = [...refused, ...late];
  const [first] = late;
  if (step.strict && first)
    throw new WhittleError(`${step.pass.id} cannot take ${first.node}: ${first.reason}`);
  if (late.length > 0 && late.length === request.sites.length) throw nothingToDo(step, late);
  return {
    step,
    situation: { graph, facts },
    sites: request.sites,
    skipped,
    touched,
    estimated,
  };
}

function defaultSites(
  { pass, parameters, except }: Step,
  sites: readonly { node: string }[],
): readonly SelectedSite[] {
  if (except.length)
    throw new WhittleError('except needs at', { hint: 'Add at: "**" to the step' });
  return pass.defaultSites?.(sites, parameters) ?? sites.map((site) => ({ ...site, entry: 0 }));
}

interface Selection {
  readonly selected: readonly SelectedSite[];
  readonly skipped: readonly Refusal[];
  /** The selectors are right and this model has no such node. */
  readonly empty: boolean;
}

function selectSites(
  original: Base,
  now: Graph,
  step: Step,
  sites: readonly { node: string }[],
  refused: readonly Refusal[],
): Selection {
  const excluded = new Set(step.except.flatMap((selector) => [...selectNodes(original, selector)]));
  const originOf = (id: string) => now.node(id)?.origin ?? id;
  const selected: SelectedSite[] = [];
  const skipped: Refusal[] = [];
  const taken = new Set<string>();
  let named = 0;
  for (const [entry, selector] of step.at!.entries()) {
    const nodes = selectNodes(original, selector);
    const chosen = (id: string) =>
      nodes.has(originOf(id)) && !excluded.has(originOf(id)) && !taken.has(id);
    const own = sites.filter((site) => chosen(site.node));
    const refusals = refused.filter((refusal) => chosen(refusal.node));
    for (const { node } of [...own, ...refusals]) taken.add(node);
    selected.push(...own.map((site) => ({ ...site, entry })));
    skipped.push(...refusals);
    named += nodes.size;
    if (own.length + refusals.length === 0)
      skipped.push({ node: selector, reason: whyNothing(original.graph, nodes, step) });
  }
  return { selected, skipped, empty: named === 0 };
}

function whyNothing(original: Graph, nodes: ReadonlySet<string>, { pass }: Step): string {
  if (nodes.size === 0) return 'the model has no such operator';
  const [only] = nodes;
  if (nodes.size === 1) return `${pass.title} does not work on ${original.node(only!)?.op ?? 'it'}`;
  return `${pass.title} works on nothing in it`;
}

function nothingToDo({ pass, index }: Step, reasons: readonly Refusal[]): WhittleError {
  const [first, ...more] = reasons;
  const others = more.length ? ` (and ${more.length} more)` : '';
  const why = first
    ? `${first.node}: ${first.reason}${others}`
    : 'the model has no layer of that kind';
  return new WhittleError(`${pass.id} has nothing to work on: ${why}`, {
    where: `step ${index + 1}`,
  });
}

/** Nodes that are new or different, and those that read another constant than before. */
function changedNodes(before: Graph, after: Graph): ReadonlySet<string> {
  const changed = new Set<string>();
  for (const node of after.order) if (before.node(node.id) !== node) changed.add(node.id);
  for (const [name, tensor] of after.initializers)
    if (before.initializer(name) !== tensor)
      for (const reader of after.consumers(name)) changed.add(reader.id);
  return changed;
}

type Typed = Pick<ReturnType<Situation['facts']['value']>, 'type' | 'shape'>;

/** Whether a declaration still holds: the same element type, and no size that inference contradicts. */
function sameType(info: { readonly type: Typed['type'] }, facts: Typed): boolean {
  const declared = info.type;
  if (declared.kind !== 'tensor' || facts.type.kind !== 'tensor')
    return declared.kind === facts.type.kind;
  if (declared.elementType !== facts.type.elementType) return false;
  const { shape } = facts;
  if (!declared.shape || !shape) return true;
  return (
    declared.shape.length === shape.length &&
    declared.shape.every(
      (dim, i) => typeof dim !== 'number' || typeof shape[i] !== 'number' || dim === shape[i],
    )
  );
}
