/** Elements of values inside a model as they come, for the first samples of a data set. Written to a file batch by batch. */
import { ArrayWriter } from '../arrays';
import type { Context } from '../perform';
import { nameOf, readStructure } from '../session';
import type { ActivationPlace, Activations, ActivationsRequest } from '../tasks';
import { basisOf, openData, realRows } from './data';
import { ModelCopy } from './exposing';
import { survey } from './survey';

export async function activations(
  request: ActivationsRequest,
  context: Context,
): Promise<Activations> {
  const available = openData(request.data);
  const samples = Math.min(available.samples, request.samples);
  const dataset = openData({ ...request.data, samples });
  context.report(`loading ${nameOf(request.model)}`, 0, samples);
  const model = readStructure(request.model);
  const { values, skipped, batch: size } = await survey(model, request, dataset, context);
  const places = new Map<string, ActivationPlace[]>([...values.keys()].map((value) => [value, []]));
  const answer = { ...basisOf(dataset), activations: places, skipped };
  if (values.size === 0) return answer;
  const copy = new ModelCopy(model);
  for (const value of values.keys()) copy.expose(value);
  const session = await copy.open({ threads: request.threads }, context);
  const binding = dataset.bind(session.inputs, request.shapes);
  const writer = new ArrayWriter(request.into);
  let done = 0;
  try {
    for (const batch of binding.batches(size)) {
      context.report(`running ${nameOf(request.model)}`, done, samples);
      const outputs = await session.run(batch.inputs);
      for (const [value, list] of places) {
        const { dims, values: elements } = realRows(outputs.get(value)!, batch, binding);
        const data = elements instanceof Float32Array ? elements : Float32Array.from(elements!);
        list.push({ dims, start: writer.add(data) });
      }
      done += batch.samples.length;
    }
  } finally {
    writer.close();
  }
  await session.release();
  return answer;
}
