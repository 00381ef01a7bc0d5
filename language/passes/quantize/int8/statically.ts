/**
 * Static quantisation from end to end, as every pass does it whose layers run on integer codes: what is measured, and what is
 * written. Passes differ in the bits and the codes of weights.
 */
import type { Evidence, Range, Refusal, Situation, SelectedSite } from '../../pass';
import { QdqWriter, type Scheme } from '../../qdq';
import { toIntegerOperators } from '../../qoperator';
import { smoothAll, type Smoothing } from '../../smoothing';
import { arrange, type Arrangement } from './arrangement';
import { giveCodes, takeOut } from './bodies';
import { foldInto } from './folding';
import { measureRanges, type RangeRequest } from './plan';
import { prepare } from './preparation';
import { planRows, rowsAmong, scaleRows } from './rows';
import { planSmoothing, smoothable } from './smoothing';

/** The layers to quantise, and what the form leaves float: decided from the graph alone. */
export interface Static extends Situation {
  readonly sites: readonly SelectedSite[];
  readonly ruled: ReadonlySet<string>;
  /** Version of the operator set that what is written needs, where the model can be raised to it. */
  readonly opset: number;
}

export interface Measured {
  readonly ranges: Readonly<Record<string, Range>>;
  readonly smoothings: readonly Smoothing[];
}

/** What is quantised where, in the graph as it is measured: prepared and smoothed, nothing quantised yet. */
export interface Measuring extends Measured, Situation {
  readonly arrangement: Arrangement;
}

export async function measureStatically(
  request: Static,
  { smooth, ...how }: RangeRequest & { readonly smooth: 'auto' | 'off' },
  evidence: Evidence,
): Promise<Measuring> {
  const { ruled, opset } = request;
  const copy = takeOut({ ...request, graph: request.graph.fork() }, ruled);
  const prepared = prepare(copy, ruled, opset);
  const { graph, facts, sites } = prepared;
  const groups = smoothable(graph, facts, sites, ruled);
  const measured = facts === request.facts ? undefined : graph;
  const rows = rowsAmong(prepared, ruled);
  const smoothings =
    smooth === 'auto'
      ? [
          ...(await planSmoothing(graph, groups, evidence, measured)),
          ...(await planRows(graph, rows, evidence)),
        ]
      : [];
  smoothAll(graph, groups, smoothings);
  scaleRows(graph, rows, smoothings);
  const arrangement = arrange(graph, facts, sites, ruled);
  const ranged = arrangement.values
    .filter((value) => value.like === undefined)
    .map((value) => value.name);
  const ranges = await measureRanges(graph, ranged, how, evidence);
  return { graph, facts, arrangement, ranges, smoothings };
}

/** What was decided; `ranges` are null while they are not planned. */
export interface Decided {
  readonly ranges: Readonly<Record<string, Range>> | null;
  readonly smoothings: readonly Smoothing[];
  /** Sites that stay as they are: those that the form rules out, and more. */
  readonly float: readonly string[];
}

/** Edits the graph of the request. */
export function writeStatically(
  request: Static,
  { ranges, smoothings, float }: Decided,
  scheme: Scheme,
  format: 'qdq' | 'qoperator' = 'qdq',
): readonly Refusal[] {
  const { ruled, opset } = request;
  const staying = new Set(float);
  const prepared = prepare(takeOut(request, staying), ruled, opset);
  const { graph, facts, sites } = prepared;
  // Sites that measurement left float read the smoothed values too.
  smoothAll(graph, smoothable(graph, facts, sites, ruled), smoothings);
  scaleRows(graph, rowsAmong(prepared, ruled), smoothings);
  const { layers, uses, values, folds, refused } = arrange(graph, facts, sites, staying);
  for (const { producer, fold } of folds) foldInto(graph, producer, fold);
  const writer = new QdqWriter(graph, values, ranges, scheme);
  for (const layer of layers) writer.quantiseLayer(layer);
  for (const value of values) writer.quantiseActivation(value, uses);
  for (const { node } of request.sites) if (!staying.has(node)) giveCodes(graph, node);
  if (format === 'qoperator')
    toIntegerOperators(
      graph,
      graph.order.map(({ id }) => id),
    );
  return refused;
}
