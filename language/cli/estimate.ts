/** `whittle estimate`: what a model, or a model and a recipe, would take on targets. */
import type { TargetEstimate } from '../cost/cost';
import { counts } from '../cost/counts';
import { estimate } from '../cost/estimate';
import { placedKernels } from '../cost/placing';
import { familyTotals, rooflinePoints } from '../cost/explain';
import { withoutGain, type NoGain } from '../cost/gains';
import { PRECISIONS, type Precision } from '../cost/precision';
import { describeBasis, type TargetProfile } from '../cost/profile';
import { workloads } from '../cost/workloads';
import type { Refusal, Situation } from '../passes/pass';
import { targetProfile } from '../recipe/bundled';
import { enabledSteps, provenanceOf, readDecisions } from '../recipe/decisions';
import { loadRecipe } from '../recipe/load';
import { atLeast, bindModel, openModel, type BoundModel } from '../recipe/opened';
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
  type Surroundings,
} from './command';

const command: Command = async (argv, surroundings) => {
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    ...SHAPE_OPTION,
    target: { type: 'string', multiple: true, default: [] },
    recipe: { type: 'string' },
    decisions: { type: 'string' },
    as: { type: 'string' },
  });
  const [file] = positionals as [string];
  const as = options.as === undefined ? undefined : precisionOf(options.as);
  const loaded = options.recipe === undefined ? undefined : loadRecipe(options.recipe);
  if (options.decisions !== undefined && !loaded)
    throw new UsageError('--decisions needs the --recipe that they were taken for');
  const profiles = options.target.length
    ? options.target.map((id) => targetProfile(id))
    : (loaded?.recipe.targets ?? []).map((id) => targetProfile(id, loaded?.folder));
  if (profiles.length === 0) throw new UsageError('--target is missing');
  const bound = bindModel(openModel(file), {
    ...loaded?.recipe.shapes,
    ...readShapes(options.shape),
  });
  const answer = (situation: Situation) => {
    const counted = atLeast(bound, situation);
    return profiles.map((profile) =>
      targetAnswer(counted, profile, as, loaded?.folder, bound.free),
    );
  };

  const before = answer(bound);
  if (!loaded) {
    show(surroundings, options, bound, before);
    return;
  }
  const given = options.decisions
    ? readDecisions(
        options.decisions,
        await provenanceOf(file, bound, loaded.recipe, loaded.folder),
      ).steps
    : undefined;
  const kept = given?.filter(({ dropped }) => !dropped);
  const steps = enabledSteps(loaded.recipe.steps).filter((_, i) => !given?.[i]?.dropped);
  const { outcomes, failure } = previewSteps(bound, steps, {
    remembered: (_, position) => kept?.[position],
  });
  if (failure) throw failure.error;
  const after = outcomes.at(-1)?.situation ?? bound;
  const noGain = (target: TargetProfile) => noGainOn(bound, after, target, as, loaded.folder);
  const answered = answer(after).map((target, i) => ({ ...target, noGain: noGain(profiles[i]!) }));
  show(surroundings, options, bound, answered, {
    steps: outcomes.map(({ step, sites, skipped, estimated }) => ({
      pass: step.pass.id,
      sites: sites.length,
      skipped,
      estimated,
    })),
    before: { targets: before },
  });
};
export default command;

function precisionOf(text: string): Precision {
  const found = PRECISIONS.find((precision) => precision === text);
  if (!found) throw new UsageError(`--as ${text}: ${PRECISIONS.join(' or ')} is expected`);
  return found;
}

/** Why layers that the recipe makes smaller take no less time. */
function noGainOn(
  before: Situation,
  after: Situation,
  target: TargetProfile,
  as: Precision | undefined,
  folder: string,
): NoGain[] {
  const options = { resolve: (id: string) => targetProfile(id, folder), ...(as && { as }) };
  const costed = ({ graph, facts }: Situation) => ({
    graph,
    facts,
    cost: estimate(graph, facts, target, options),
  });
  return withoutGain(costed(before), costed(after), target, as ? { as } : {});
}

type Answer = ReturnType<typeof targetAnswer> & { readonly noGain?: readonly NoGain[] };

function targetAnswer(
  { graph, facts }: Situation,
  profile: TargetProfile,
  as: Precision | undefined,
  folder: string | undefined,
  free: BoundModel['free'],
) {
  const options = { resolve: (id: string) => targetProfile(id, folder), ...(as && { as }) };
  const cost = estimate(graph, facts, profile, options);
  const work = workloads(graph, facts);
  const points = rooflinePoints(placedKernels(graph, facts, profile, options), cost);
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
      partial: cost.total.partial || free.length > 0,
      ...(cost.resources && { resources: cost.resources }),
    },
    layers: cost.layers.map((layer, i) => {
      const node = graph.order[i]!;
      const { node: name, ...rest } = layer;
      const roofline = points.get(name);
      return {
        name,
        op: operator(node),
        macs: work.of(name).macs,
        ...rest,
        ...(roofline && { roofline }),
      };
    }),
    families: familyTotals(graph, facts, cost),
    transfers: cost.transfers,
    ...(cost.resources && { resources: cost.resources }),
    ...(cost.pipeline && { pipeline: cost.pipeline }),
    ...(cost.areaMm2 && { areaMm2: cost.areaMm2 }),
    ...(cost.energyPartsMj && { energyPartsMj: cost.energyPartsMj }),
    warnings: [
      ...cost.warnings,
      ...free.map(
        ({ symbol, inputs }) =>
          `${symbol} of ${inputs.join(', ')} is free and counted as 1; bind it with --shape ${symbol}=SIZE`,
      ),
    ],
  };
}

/** What a recipe made of the model, beside the estimate of that. */
interface Compared {
  readonly steps: readonly {
    readonly pass: string;
    readonly sites: number;
    readonly skipped: readonly Refusal[];
    readonly estimated: boolean;
  }[];
  readonly before: { readonly targets: readonly Answer[] };
}

function show(
  surroundings: Surroundings,
  options: { readonly json: boolean; readonly quiet: boolean },
  { file: model, assumed, free }: BoundModel,
  targets: readonly Answer[],
  compared?: Compared,
): void {
  print(surroundings, options, { model, assumed, free, targets, ...compared }, () => [
    ...Object.entries(assumed).map(([symbol, size]) => `taken for granted: ${symbol} = ${size}`),
    ...(compared?.steps ?? []).flatMap(({ pass, sites, skipped }) => [
      `${pass}: ${sites} sites`,
      ...skipped.map(({ node, reason }) => `  skipped ${node}: ${reason}`),
    ]),
    ...targets.flatMap((target, i) => lines(target, compared?.before.targets[i])),
  ]);
}

function lines(
  {
    title,
    basis,
    confidence,
    total,
    layers,
    families,
    resources,
    pipeline,
    areaMm2,
    energyPartsMj,
    transfers,
    warnings,
    noGain = [],
  }: Answer,
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
    ...(pipeline
      ? [
          `  all layers at once: ${milliseconds(pipeline.latencyMs)} for one input, the next every ${milliseconds(pipeline.intervalMs)}: ${pipeline.perSecond.toPrecision(4)} per second${pipeline.slowest === null ? '' : `, decided by ${pipeline.slowest}`}`,
        ]
      : []),
    ...(resources
      ? [
          `  resources: ${Object.entries(resources)
            .map(([name, count]) => `${count} ${name.toUpperCase()}`)
            .join(', ')}`,
        ]
      : []),
    ...partsLine('area', areaMm2, (mm2) => `${mm2.toPrecision(3)} mm²`),
    ...partsLine('energy', energyPartsMj, millijoules),
    ...(families.length > 1
      ? [
          `  by kind: ${families
            .map(({ family, latencyMs }) => `${family} ${share(latencyMs, total)}`)
            .join(', ')}`,
        ]
      : []),
    ...noGain.map(
      ({ reason, layers: without }) =>
        `  no gain in ${without.length === 1 ? without[0] : `${without.length} layers`}: ${reason}`,
    ),
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

function partsLine(
  title: string,
  parts: Readonly<Record<string, number>> | undefined,
  unit: (value: number) => string,
): string[] {
  const used = Object.entries(parts ?? {})
    .filter(([, value]) => value > 0)
    .sort((a, b) => b[1] - a[1]);
  if (used.length === 0) return [];
  const all = used.reduce((sum, [, value]) => sum + value, 0);
  const named = used.map(([name, value]) => `${name} ${unit(value)}`);
  return [`  ${title}: ${unit(all)} (${named.join(', ')})`];
}

/** The errors are of predictions: what was measured is the prediction over one plus its error. */
const describeInterval = (latencyMs: number, lowError: number, highError: number): string =>
  `measured most likely between ${milliseconds(latencyMs / (1 + highError))} and ${milliseconds(latencyMs / (1 + lowError))}`;

const share = (latencyMs: number, { latencyMs: whole }: TargetEstimate['total']): string =>
  `${((100 * latencyMs) / whole).toFixed(1)} %`;
