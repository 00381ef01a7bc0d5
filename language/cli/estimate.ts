/** `whittle estimate`: what a model, or a model and a recipe, would take on targets. */
import type { TargetEstimate } from '../cost/cost';
import { counts } from '../cost/counts';
import { estimate } from '../cost/estimate';
import type { Precision } from '../cost/precision';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { workloads } from '../cost/workloads';
import type { Situation } from '../passes/pass';
import { targetProfile } from '../recipe/bundled';
import { provenanceOf, readDecisions } from '../recipe/decisions';
import { loadRecipe } from '../recipe/load';
import { bindModel, openModel } from '../recipe/opened';
import { previewSteps } from '../recipe/run';
import { operator } from './inspect';
import {
  millijoules,
  milliseconds,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  UsageError,
  type Command,
} from './command';

const PRECISIONS: readonly string[] = ['int8', 'fp16'] satisfies Precision[];

const command: Command = async (argv) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    ...SHAPE_OPTION,
    target: { type: 'string', multiple: true, default: [] },
    recipe: { type: 'string' },
    decisions: { type: 'string' },
    as: { type: 'string' },
  });
  const [file] = positionals as [string];
  const { as } = options;
  if (as !== undefined && !PRECISIONS.includes(as))
    throw new UsageError(`--as ${as}: int8 or fp16 is expected`);
  const loaded = options.recipe === undefined ? undefined : loadRecipe(options.recipe);
  const ids = options.target.length ? options.target : (loaded?.recipe.targets ?? []);
  if (ids.length === 0) throw new UsageError('--target is missing');
  const profiles = ids.map((id) => targetProfile(id));
  const bound = bindModel(openModel(file), {
    ...loaded?.recipe.shapes,
    ...readShapes(options.shape),
  });
  const answer = (situation: Situation) =>
    profiles.map((profile) =>
      targetAnswer(situation, profile, as as Precision | undefined, loaded?.folder),
    );

  const before = answer(bound);
  if (!loaded) {
    show(options, file, before);
    return;
  }
  const given = options.decisions
    ? readDecisions(
        options.decisions,
        await provenanceOf(file, bound, loaded.recipe, loaded.folder),
      ).steps
    : undefined;
  const { outcomes, failure } = previewSteps(bound, loaded.recipe.steps, {
    remembered: (_, position) => given?.[position],
  });
  if (failure) throw failure.error;
  show(options, file, answer(outcomes.at(-1)?.situation ?? bound), before);
};
export default command;

type Answer = ReturnType<typeof targetAnswer>;

function targetAnswer(
  { graph, facts }: Situation,
  profile: TargetProfile,
  as: Precision | undefined,
  folder: string | undefined,
) {
  const options = { resolve: (id: string) => targetProfile(id, folder), ...(as && { as }) };
  const cost = estimate(graph, facts, profile, options);
  const work = workloads(graph, facts);
  const { macs, parameters, weightBytes } = counts(graph, facts);
  return {
    id: profile.id,
    title: profile.title,
    basis: describeBasis(profile),
    confidence: cost.confidence,
    total: {
      macs,
      parameters,
      weightBytes,
      ...cost.total,
      ...(cost.resources && { resources: cost.resources }),
    },
    layers: cost.layers.map((layer, i) => {
      const node = graph.order[i]!;
      const { node: name, ...rest } = layer;
      return { name, op: operator(node), macs: work.of(name).macs, ...rest };
    }),
    transfers: cost.transfers,
    ...(cost.resources && { resources: cost.resources }),
    warnings: cost.warnings,
  };
}

function show(
  { json, quiet }: { json: boolean; quiet: boolean },
  model: string,
  targets: readonly Answer[],
  before?: readonly Answer[],
): void {
  print(json, quiet, { model, targets, ...(before && { before: { targets: before } }) }, () =>
    targets.flatMap((target, i) => lines(target, before?.[i])),
  );
}

function lines(
  { title, basis, confidence, total, layers, transfers, warnings }: Answer,
  before: Answer | undefined,
): string[] {
  const change = before ? `${milliseconds(before.total.latencyMs)} → ` : '';
  const costly = [...layers]
    .filter(({ latencyMs }) => (latencyMs ?? 0) > 0)
    .sort((a, b) => b.latencyMs! - a.latencyMs!);
  return [
    `${title}: ${total.partial ? 'at least ' : ''}${total.estimated ? '≈ ' : ''}${change}${milliseconds(total.latencyMs)}, ${millijoules(total.energyMj)}`,
    `  modelled: ${basis}`,
    ...(confidence.lowError !== null && confidence.highError !== null
      ? [
          `  ${describeInterval(total.latencyMs, confidence.lowError, confidence.highError)}; ${confidence.note}`,
        ]
      : []),
    ...(transfers.count
      ? [`  ${transfers.count} transfers between targets: ${milliseconds(transfers.latencyMs)}`]
      : []),
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...table(
      costly
        .slice(0, 12)
        .map(({ name, op, latencyMs, bound }) => [
          `  ${name}`,
          op,
          milliseconds(latencyMs),
          share(latencyMs!, total),
          bound,
        ]),
      [2, 3],
    ),
    ...(costly.length > 12 ? [`  … and ${costly.length - 12} more layers`] : []),
    '',
  ];
}

/** The errors are of predictions: what was measured is the prediction over one plus its error. */
const describeInterval = (latencyMs: number, lowError: number, highError: number): string =>
  `measured most likely between ${milliseconds(latencyMs / (1 + highError))} and ${milliseconds(latencyMs / (1 + lowError))}`;

const share = (latencyMs: number, { latencyMs: whole }: TargetEstimate['total']): string =>
  `${((100 * latencyMs) / whole).toFixed(1)} %`;
