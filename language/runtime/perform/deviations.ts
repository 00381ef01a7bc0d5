/** How far the outputs of several models are from those of one, in a single pass over the data. */
import { WhittleError } from '../../errors';
import type { Context } from '../perform';
import { nameOf, openSession, type Output } from '../session';
import type { Deviations, DeviationsRequest } from '../tasks';
import { basisOf, batchSize, openData, realRows } from './data';

export async function deviations(
  {
    reference,
    candidates,
    names = candidates.map(nameOf),
    data,
    threads,
    shapes,
  }: DeviationsRequest,
  { report }: Context,
): Promise<Deviations> {
  const dataset = openData(data);
  report(`loading ${nameOf(reference)}`, 0, dataset.samples);
  const ours = await openSession(reference, { threads });
  const others = [];
  for (const [i, candidate] of candidates.entries()) {
    report(`loading ${names[i]!}`, 0, dataset.samples);
    const session = await openSession(candidate, { threads, extra: STOP_SPINNING });
    others.push({ session, name: names[i]!, tally: new Deviation() });
  }
  const binding = dataset.bind(ours.inputs, shapes);
  let done = 0;
  for (const batch of binding.batches(await batchSize(binding, ours))) {
    report(`running ${nameOf(reference)}`, done, dataset.samples);
    const expected = await ours.run(batch.inputs);
    for (const [i, { session, name: changed, tally }] of others.entries()) {
      const part = (batch.samples.length * i) / others.length;
      report(`judging ${changed}`, done + part, dataset.samples);
      const found = await session.run(batch.inputs);
      for (const { name } of ours.outputs) {
        const answer = found.get(name);
        if (!answer)
          throw new WhittleError(`the changed model has no output ${name}`, {
            where: session.file,
          });
        tally.add(realRows(expected.get(name)!, batch, binding), realRows(answer, batch, binding));
      }
    }
    done += batch.samples.length;
  }
  for (const session of [ours, ...others.map((other) => other.session)]) await session.release();
  return { ...basisOf(dataset), deviations: others.map(({ tally }) => tally.result()) };
}

/** Between its runs a session's threads would else keep spinning and slow down the other models. */
const STOP_SPINNING = { session: { force_spinning_stop: '1' } };

/** Σ(a − b)² / Σa² over float outputs. */
class Deviation {
  #signal = 0;
  #noise = 0;

  add(expected: Output, found: Output): void {
    if (!expected.type.startsWith('float') && expected.type !== 'bfloat16') return;
    const [a, b] = [expected.values!, found.values];
    if (b?.length !== a.length) {
      this.#noise = Infinity;
      return;
    }
    for (let i = 0; i < a.length; i++) {
      const difference = a[i] === b[i] ? 0 : a[i]! - b[i]!; // equal infinities do not differ
      this.#signal += Number.isFinite(a[i]) ? a[i]! * a[i]! : 0;
      this.#noise += difference * difference;
    }
  }

  /** Infinite where the outputs are of other sizes or not numbers. */
  result(): number {
    if (Number.isNaN(this.#noise)) return Infinity;
    if (this.#noise === 0) return 0;
    return this.#noise / this.#signal;
  }
}
