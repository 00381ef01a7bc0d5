/** How far the answers of one model are from those of another, and the metric of both in the same pass. */
import type { Batch, Binding, Dataset } from '../../data/dataset';
import type { Sizes } from '../../data/generated';
import { chooseMetric, relativeDrop, type ChosenMetric } from '../../data/metrics';
import type { Tally } from '../../data/metrics/metric';
import { WhittleError } from '../../errors';
import type { Context } from '../perform';
import { nameOf, openSession, type Output, type Session } from '../session';
import type { CompareRequest, Comparison, MetricComparison } from '../tasks';
import { basisOf, batchSize, openData, realRows } from './data';
import { OutputTally } from './difference';
import { judged } from './evaluate';

export async function compare(request: CompareRequest, { report }: Context): Promise<Comparison> {
  const dataset = openData(request.data);
  const open = (model: string): Promise<Session> => {
    report(`loading ${nameOf(model)}`, 0, dataset.samples);
    return openSession(model, { threads: request.threads });
  };
  const sessions = [await open(request.reference), await open(request.candidate)] as const;
  const [reference, candidate] = bindAlike(sessions, dataset, request.shapes);
  const outputs = outputTallies(reference.session, candidate.session);
  const judge = judgeOf(request, dataset, reference.session);
  let done = 0;
  for (const [ours, theirs] of await pairs(reference, candidate)) {
    report(`running ${nameOf(request.reference)}`, done, dataset.samples);
    const expected = await reference.session.run(ours.inputs);
    report(`running ${nameOf(request.candidate)}`, done, dataset.samples);
    const found = await candidate.session.run(theirs.inputs);
    for (const output of outputs) {
      const answer = found.get(output.name);
      if (answer)
        output.add(
          realRows(expected.get(output.name)!, ours, reference.binding),
          realRows(answer, theirs, candidate.binding),
        );
    }
    judge?.add(
      { ...reference, batch: ours, found: expected },
      { ...candidate, batch: theirs, found },
    );
    done += ours.samples.length;
  }
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

function outputTallies(reference: Session, candidate: Session): OutputTally[] {
  const found = new Set(candidate.outputs.map((output) => output.name));
  return reference.outputs.map(
    ({ name }) =>
      new OutputTally(name, found.has(name) ? undefined : 'the candidate has no such output'),
  );
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
  ) {
    this.#reference = metric.start();
    this.#candidate = metric.start();
  }

  add(reference: Answered, candidate: Answered): void {
    const judge = ({ batch, binding, found }: Answered) =>
      judged(batch, binding, this.wanted, found);
    this.#reference.add(judge(reference));
    this.#candidate.add(judge(candidate));
  }

  result(): MetricComparison {
    const { id, higherIsBetter } = this.metric;
    const reference = this.#reference.score();
    const candidate = this.#candidate.score();
    const drop = relativeDrop(this.metric, reference.value, candidate.value);
    return { id, higherIsBetter, reference, candidate, drop };
  }
}

function judgeOf(request: CompareRequest, dataset: Dataset, reference: Session): Judge | undefined {
  const choice = request.metric ?? dataset.metric;
  if (!choice || dataset.generated) return undefined;
  const metric = chooseMetric(choice);
  return new Judge(metric, metric.outputs(reference.outputs.map((output) => output.name)));
}
