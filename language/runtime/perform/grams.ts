/**
 * XᵀX of values inside a model over a data set, each seen as rows over its last axis. ONNX Runtime multiplies the rows of a
 * batch; the products are added up in float64. Results go to a file as soon as they are complete, and values are taken a
 * part at a time, so that memory depends on neither the data nor the number of values.
 */
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import { ArrayWriter } from '../arrays';
import type { Context } from '../perform';
import { nameOf, readStructure } from '../session';
import type { GramPlace, Grams, GramsRequest } from '../tasks';
import { basisOf, openData } from './data';
import type { ModelCopy } from './exposing';
import { inParts, partWords, survey, type Survey, type Surveyed } from './survey';
import { watchOver, type Outputs, type Watcher } from './watching';

/** What the sums of one part may take, at 8 bytes an element. Every part is a run over the data: a few values share one. */
const PART = { most: 24 * 2 ** 20, fewest: 4 } as const;

export async function grams(request: GramsRequest, context: Context): Promise<Grams> {
  const dataset = openData(request.data);
  context.report(`loading ${nameOf(request.model)}`, 0, dataset.samples);
  const model = readStructure(request.model);
  const surveyed = await survey(model, request, dataset, context);
  const places = new Map<string, GramPlace>();
  const writer = new ArrayWriter(request.into);
  let samples = dataset.samples;
  const watch = { model, batch: surveyed.batch, request, dataset, context, frugal: true };
  try {
    const parts = inParts(surveyed.values, bytesOf, PART);
    for (const [p, values] of parts.entries()) {
      const part = partWords(p, parts.length);
      const sums = await watchOver({ ...watch, part }, (copy) => gramWatchers(copy, values));
      samples = sums.samples;
      for (const { about, rows, size, data } of sums.watchers)
        places.set(about, { rows, size, start: writer.add(data) });
    }
  } finally {
    writer.close();
  }
  const { skipped, takes } = surveyed;
  return { ...basisOf(dataset), samples, grams: places, skipped, takes };
}

const bytesOf = ({ dims }: Surveyed): number => 8 * (dims.at(-1) ?? 1) ** 2;

function gramWatchers(copy: ModelCopy, values: Survey['values']): GramWatcher[] {
  return [...values].map(([value, { type, dims }]) => {
    const size = dims.at(-1) ?? 1;
    const rows = copy.rows(copy.widened(value, type), size);
    const across = copy.add('Transpose', [rows], { perm: { kind: 'ints', value: [1, 0] } });
    const product = copy.expose(copy.add('MatMul', [across, rows]));
    const shape = copy.expose(copy.add('Shape', [value]));
    return new GramWatcher(value, shape, product, size);
  });
}

class GramWatcher implements Watcher {
  readonly data: Float64Array;
  rows = 0;

  /** @param shape and `product`: names of the outputs that hold them */
  constructor(
    readonly about: string,
    private readonly shape: string,
    private readonly product: string,
    readonly size: number,
  ) {
    this.data = new Float64Array(size * size);
  }

  add(outputs: Outputs): boolean {
    const { data, size } = this;
    const dims = Array.from(outputs.get(this.shape)!.values!);
    if ((dims.at(-1) ?? 1) !== size)
      throw new WhittleError(
        `the last axis of ${this.about} has ${size} elements for one sample and ${dims.at(-1)} for others`,
      );
    const rows = elementCount(dims) / size;
    if (rows === 0) return true;
    this.rows += rows;
    const product = outputs.get(this.product)!.values!;
    for (let i = 0; i < data.length; i++) data[i]! += product[i]!;
    for (let i = 0; i < size; i++) if (!Number.isFinite(product[i * size + i])) return false;
    return true;
  }
}
