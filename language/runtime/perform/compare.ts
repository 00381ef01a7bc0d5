/** How far the answers of one model are from those of another, and the metric of both in the same pass. */
import type { Batch, Binding, Dataset } from '../../data/dataset';
import type { Sizes } from '../../data/generated';
import { chooseMetric, relativeDrop, type ChosenMetric } from '../../data/metrics';
import type { Tally } from '../../data/metrics/metric';
import { PairedTallies } from '../../data/metrics/paired';
import { WhittleError } from '../../errors';
import type { Context } from '../perform';
import { nameOf, openSession, type Output, type Session } from '../session';
import type { CompareRequest, Comparison, MetricComparison, OutputComparison } from '../tasks';
import { basisOf, batchSize, openData, realRows } from './data';
import { runBatch } from './decode';
import { OutputTally } from './difference';
import { DivergenceTally } from './divergence';
import { judged } from './evaluate';
import { preparationFor, type Preparation } from './features';

export async function compare(request: CompareRequest, { report }: Context): Promise<Comparison> {
  const dataset = openData(request.data);
  const open = (model: string): Promise<Session> => {
    report(`loading ${nameOf(model)}`, 0, dataset.samples);
    return openSession(model, { threads: request.threads });
  };
  const sessions = [await open(request.reference), await open(request.candidate)] as const;
  const [reference, candidate] = bindAlike(sessions, dataset, request.shapes);
  const outputs = outputTallies(reference.session, candidate.session);
  const judge = await judgeOf(request, dataset, reference.session);
  const names = (session: Session) => session.outputs.map((output) => output.name);
  let done = 0;
  for (const [ours, theirs] of await pairs(reference, candidate)) {
    report(`running ${nameOf(request.reference)}`, done, dataset.samples);
    const expected = await runBatch(
      reference.session,
      ours,
      names(reference.session),
      dataset.step,
    );
    report(`running ${nameOf(request.candidate)}`, done, dataset.samples);
    const found = await runBatch(candidate.session, theirs, names(candidate.session), dataset.step);
    for (const output of outputs) {
      const answer = found.get(output.name);
      if (answer)
        output.add(
          realRows(expected.get(output.name)!, ours, reference.binding),
          realRows(answer, theirs, candidate.binding),
        );
    }
    await judge?.add(
      { ...reference, batch: ours, found: expected },
      { ...candidate, batch: theirs, found },
    );
    done += ours.samples.length;
  }
  for (const session of sessions) await session.release();
  report(`comparing ${nameOf(request.candidate)}`, done, dataset.samples);
  return {
    ...basisOf(dataset),
    outputs: outputs.map((output) => output.result()),
    ...(judge && { metric: judge.result() }),
  };
}

interface Side {
  readonly session: Session;
  readonly binding: Binding;
}

/** Both models get the same made-up integers: below what either looks up with them. */
function bindAlike(
  sessions: readonly [Session, Session],
  dataset: Dataset,
  shapes: Sizes | undefined,
): readonly [Side, Side] {
  const bounds = new Map<string, number>();
  for (const { name, below = Infinity } of sessions.flatMap((session) => session.inputs))
    bounds.set(name, Math.min(below, bounds.get(name) ?? Infinity));
  const side = (session: Session): Side => {
    const inputs = session.inputs.map(({ below: _, ...input }) => {
      const below = bounds.get(input.name)!;
      return below === Infinity ? input : { ...input, below };
    });
    return { session, binding: dataset.bind(inputs, shapes) };
  };
  return [side(sessions[0]), side(sessions[1])];
}

function outputTallies(reference: Session, candidate: Session): OutputPair[] {
  const found = new Set(candidate.outputs.map((output) => output.name));
  return reference.outputs.map(({ name }) => new OutputPair(name, found.has(name)));
}

/** An output of both models: how far its numbers differ, and what they choose. */
class OutputPair {
  readonly #difference: OutputTally;
  readonly #divergence = new DivergenceTally();
  constructor(
    readonly name: string,
    inBoth: boolean,
  ) {
    this.#difference = new OutputTally(
      name,
      inBoth ? undefined : 'the candidate has no such output',
    );
  }

  add(reference: Output, candidate: Output): void {
    this.#difference.add(reference, candidate);
    this.#divergence.add(reference, candidate);
  }

  result(): OutputComparison {
    return { ...this.#difference.result(), ...this.#divergence.result() };
  }
}

/** The same samples for both models; converted once where both take the same inputs. */
async function pairs(reference: Side, candidate: Side): Promise<Iterable<readonly [Batch, Batch]>> {
  const sides = [reference, candidate];
  const fixed = sides.flatMap(({ binding }) => binding.batch ?? []);
  if (fixed.length === 2 && fixed[0] !== fixed[1])
    throw new WhittleError(
      `the models take different numbers of samples at once: ${fixed.join(' and ')}`,
      { where: candidate.session.file },
    );
  const free = await Promise.all(sides.map(({ binding, session }) => batchSize(binding, session)));
  const size = fixed[0] ?? Math.min(...free);
  const inputs = ({ session }: Side) =>
    JSON.stringify(
      session.inputs.map(({ name, elementType, shape }) => [name, elementType, shape]),
    );
  return inputs(reference) === inputs(candidate)
    ? twice(reference.binding.batches(size))
    : together(reference.binding.batches(size), candidate.binding.batches(size));
}

function* twice<T>(items: Iterable<T>): Iterable<readonly [T, T]> {
  for (const item of items) yield [item, item];
}

function* together<T>(left: Iterable<T>, right: Iterable<T>): Iterable<readonly [T, T]> {
  const others = right[Symbol.iterator]();
  for (const item of left) {
    const other = others.next();
    if (!other.done) yield [item, other.value];
  }
}

interface Answered extends Side {
  readonly batch: Batch;
  readonly found: ReadonlyMap<string, Output>;
}

/** Keeps the metric of both models. */
class Judge {
  readonly #reference: Tally;
  readonly #candidate: Tally;
  constructor(
    readonly metric: ChosenMetric,
    readonly wanted: readonly string[],
    readonly prepared: Preparation,
    readonly paired: PairedTallies | undefined,
  ) {
    this.#reference = metric.start();
    this.#candidate = metric.start();
  }

  async add(reference: Answered, candidate: Answered): Promise<void> {
    const judge = ({ batch, binding, found }: Answered) =>
      this.prepared(judged(batch, binding, this.wanted, found));
    const [ours, theirs] = [await judge(reference), await judge(candidate)];
    this.#reference.add(ours);
    this.#candidate.add(theirs);
    this.paired?.add(ours, theirs);
  }

  result(): MetricComparison {
    const { id, higherIsBetter } = this.metric;
    const reference = this.#reference.score();
    const candidate = this.#candidate.score();
    const drop = relativeDrop(this.metric, reference.value, candidate.value);
    const interval = this.paired && { interval: this.paired.interval(drop) };
    return { id, higherIsBetter, reference, candidate, drop, ...interval };
  }
}

async function judgeOf(
  { metric: instead, threads, interval }: CompareRequest,
  dataset: Dataset,
  reference: Session,
): Promise<Judge | undefined> {
  const choice = instead ?? dataset.metric;
  if (!choice || dataset.generated) return undefined;
  const metric = chooseMetric(choice);
  const wanted = metric.outputs(reference.outputs.map((output) => output.name));
  const prepared = await preparationFor(metric, dataset.folder, threads);
  const paired = interval ? new PairedTallies(metric, dataset.samples) : undefined;
  return new Judge(metric, wanted, prepared, paired);
}
