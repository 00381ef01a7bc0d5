/** What the tasks that run over a data set share. */
import { loadDataset, type Batch, type Binding, type Dataset } from '../../data/dataset';
import type { ModelInput } from '../../data/feed';
import type { Answer } from '../../data/metrics/metric';
import { WhittleError } from '../../errors';
import { elementCount } from '../../onnx/tensor';
import type { Output, Session } from '../session';
import type { Basis, DataRequest, Port } from '../tasks';

export const openData = ({ dataset, folder, ...options }: DataRequest): Dataset =>
  loadDataset(dataset, folder, options);

export const basisOf = ({ name, generated, samples }: Dataset): Basis => ({
  data: name,
  generated,
  samples,
});

/** What one would wait for without gain: kernels are busy long before. */
const MAX_BATCH = 32;
/** Elements of the largest input or output of a batch; activations are commonly some tens of times that. */
const MAX_BATCH_ELEMENTS = 2 ** 20;

/** Samples to run at once: what the model fixes, else as many as keep memory in bounds. */
export async function batchSize(binding: Binding, session: Session): Promise<number> {
  if (binding.batch !== undefined) return binding.batch;
  const sizes = symbolSizes(session.inputs, binding);
  const largest = Math.max(
    1,
    binding.elements,
    ...session.outputs.map((port) => sampleElements(port, sizes)),
  );
  const size = Math.min(MAX_BATCH, Math.floor(MAX_BATCH_ELEMENTS / largest));
  return size > 1 && (await takesSeveral(binding, session)) ? size : 1;
}

/** Some models leave the number of samples open and then work for one alone: constants inside say otherwise. */
async function takesSeveral(binding: Binding, session: Session): Promise<boolean> {
  const [batch] = binding.batches(2);
  if (!batch) return false;
  try {
    const outputs = await session.run(batch.inputs);
    return [...outputs.values()].every(({ dims }) => (dims[0] ?? 0) % batch.samples.length === 0);
  } catch {
    return false; // what fails for one sample too is said then
  }
}

/** Sizes that the data gives to the symbols of the inputs, the leading axis aside. */
function symbolSizes(inputs: readonly ModelInput[], { dims }: Binding): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, shape } of inputs) {
    const sample = dims.get(name) ?? [];
    shape?.slice(1).forEach((dim, axis) => {
      const size = sample[axis];
      if (typeof dim === 'string' && size !== undefined) sizes.set(dim, size);
    });
  }
  return sizes;
}

/** Elements of an output for one sample; a dimension that nobody knows counts as 1. */
const sampleElements = ({ shape }: Port, sizes: ReadonlyMap<string, number>): number =>
  elementCount(
    shape.slice(1).map((dim) => (typeof dim === 'number' ? dim : (sizes.get(dim) ?? 1))),
  );

/**
 * An output without the rows that only filled up the batch, and with an axis for the samples even where the model has none.
 */
export function realRows(output: Output, { samples }: Batch, binding: Binding): Output {
  const { dims, values } = output;
  if (!binding.batched) return { ...output, dims: [1, ...dims] };
  const fed = binding.batch ?? samples.length;
  const rows = dims[0] ?? 1;
  if (fed === samples.length || rows % fed !== 0) return output;
  const kept = [(rows / fed) * samples.length, ...dims.slice(1)];
  const elements = elementCount(kept);
  return {
    ...output,
    dims: kept,
    values: values?.subarray(0, elements),
    strings: output.strings?.slice(0, elements),
  };
}

/** An output as a metric judges it. @throws WhittleError where there is none, or it holds strings */
export function answerOf(
  name: string,
  output: Output | undefined,
  batch: Batch,
  binding: Binding,
): Answer {
  const { dims, values } = output
    ? realRows(output, batch, binding)
    : { dims: [], values: undefined };
  if (values) return { name, dims, values };
  throw new WhittleError(
    output
      ? `output ${name} holds strings, which cannot be judged`
      : `the model has no output ${name}`,
  );
}
