/** Where a pass can be dropped, and what it would bring there. */
import type { TargetProfile } from '../cost/profile';
import { describeError } from '../errors';
import type { Pass } from '../passes/pass';
import type { Gain, Places } from '../protocol';
import type { Step } from '../recipe/recipe';
import { applyDecisions, prepareStep, sitesOf } from '../recipe/steps';
import { costOn } from './costing';
import { afterOf, countsOf, viewRequest, type Look, type Subject } from './design';
import { layersShown } from './view';

/** By visible node: how many sites the pass would take in it, or why none. */
export function placesFor(subject: Subject, look: Look, pass: Pass): Places {
  const after = afterOf(subject);
  const { sites, refused } = sitesOf(pass, after);
  const originOf = (id: string) => after.graph.node(id)?.origin ?? id;
  const open = new Set(sites.map((site) => originOf(site.node)));
  const reasons = new Map(refused.map(({ node, reason }) => [originOf(node), reason]));
  const places: Record<string, Places[string]> = {};
  for (const [id, layers] of layersShown(viewRequest(subject, look))) {
    const count = layers.filter((layer) => open.has(layer)).length;
    const reason = layers.map((layer) => reasons.get(layer)).find((text) => text !== undefined);
    places[id] = {
      sites: count,
      reason: count ? null : (reason ?? `${pass.title} works on nothing in it`),
    };
  }
  return places;
}

/** The step, run after all others with stand-in decisions. */
export function gainOf(subject: Subject, step: Step, target: TargetProfile): Gain {
  const now = afterOf(subject);
  const before = costOn(now, target, subject.resolve).total.latencyMs;
  const macsBefore = countsOf(now).macs;
  try {
    const prepared = prepareStep(subject.bound, now, step);
    const estimated = step.pass.needs(step.parameters).length > 0;
    const { situation } = applyDecisions(
      subject.bound,
      prepared,
      step.pass.standIn(prepared.request),
      estimated,
    );
    const { total } = costOn(situation, target, subject.resolve);
    return {
      latencyMs: { before, after: total.latencyMs, ...(total.estimated && { estimated: true }) },
      macs: { before: macsBefore, after: countsOf(situation).macs },
      error: null,
    };
  } catch (error) {
    return {
      latencyMs: { before, after: null },
      macs: { before: macsBefore, after: null },
      error: describeError(error),
    };
  }
}
