/** What a step does to the outputs where it changes one layer alone: which layers bear it, and which do not. */
import { throwIfCancelled, WhittleError } from '../errors';
import type { Graph } from '../graph/graph';
import type { Evidence, Pass, Refusal, SelectedSite, StepRequest } from '../passes/pass';

export interface SensitivityRequest {
  readonly pass: Pass;
  /** The step with all of its sites. */
  readonly request: StepRequest<unknown>;
  readonly evidence: Evidence;
  readonly onLayer?: (done: number, total: number) => void;
}

export interface Variants {
  /** The graph with the step done at one layer. */
  readonly variants: readonly { readonly node: string; readonly graph: Graph }[];
  readonly skipped: readonly Refusal[];
}

/** @throws WhittleError when the step can change no layer by itself */
export async function variantsOf({
  pass,
  request,
  evidence,
  onLayer,
}: SensitivityRequest): Promise<Variants> {
  const remembering = remember(evidence);
  // Statistics of all layers in one run over the data; the plans for one layer then find them.
  if (pass.needs(request.parameters).includes('calibration')) await pass.plan(request, remembering);
  const variants: { node: string; graph: Graph }[] = [];
  const skipped: Refusal[] = [];
  for (const [done, site] of request.sites.entries()) {
    throwIfCancelled(evidence.signal);
    onLayer?.(done, request.sites.length);
    evidence.progress(site.node);
    try {
      const { graph, refused } = await changeAlone(pass, request, site, remembering);
      if (refused) skipped.push(refused);
      else variants.push({ node: site.node, graph });
    } catch (error) {
      if (!(error instanceof WhittleError)) throw error;
      skipped.push({ node: site.node, reason: error.message });
    }
  }
  const [first] = skipped;
  if (variants.length === 0 && first)
    throw new WhittleError(`${pass.id} changes no layer by itself: ${first.reason}`, {
      where: first.node,
    });
  return { variants, skipped };
}

async function changeAlone(
  pass: Pass,
  request: StepRequest<unknown>,
  site: SelectedSite,
  evidence: Evidence,
): Promise<{ readonly graph: Graph; readonly refused: Refusal | undefined }> {
  const alone = { ...request, sites: [site] };
  const decisions = await pass.plan(alone, evidence);
  const graph = request.graph.fork();
  const [refused] = pass.rewrite({ ...alone, graph }, decisions);
  return { graph, refused };
}

type PerValue<T> = (values: readonly string[], graph?: Graph) => Promise<ReadonlyMap<string, T>>;

/** Measures each value of the graph as it stands once. What is asked of another graph is measured each time. */
function remember(evidence: Evidence): Evidence {
  return {
    ...evidence,
    ranges: once((values, graph) => evidence.ranges(values, graph)),
    moments: once((values, graph) => evidence.moments(values, graph)),
    grams: once((values, graph) => evidence.grams(values, graph)),
  };
}

function once<T>(measure: PerValue<T>): PerValue<T> {
  const known = new Map<string, T>();
  return async (values, graph) => {
    if (graph) return measure(values, graph);
    const unknown = values.filter((value) => !known.has(value));
    if (unknown.length)
      for (const [value, found] of await measure(unknown)) known.set(value, found);
    return new Map(
      values.flatMap((value) => (known.has(value) ? [[value, known.get(value)!] as const] : [])),
    );
  };
}
