/** Whether ONNX Runtime takes a model, and what it sees in it. */
import type { Context } from '../perform';
import { nameOf, loadRuntime, openSession } from '../session';
import type { Loaded, LoadRequest } from '../tasks';

export async function load(request: LoadRequest, { report }: Context): Promise<Loaded> {
  report(`loading ${nameOf(request.model)}`, 0, 1);
  const { declared } = await openSession(request.model, { threads: request.threads });
  const ort = await loadRuntime();
  return {
    ...declared,
    providers: ort.listSupportedBackends().map((backend) => backend.name),
    version: ort.env.versions.node ?? ort.env.versions.common,
  };
}
