import { randomUUID } from 'node:crypto';
import type { Progress } from '../language/protocol';
import type { Backend } from './backend';

/** A request that takes long: the server knows it by its token, tells its progress, and lets it be cancelled. */
export class ServerJob {
  readonly token = randomUUID();
  readonly #listening: { dispose(): unknown };

  constructor(
    private readonly backend: Backend,
    onProgress: (progress: Progress) => void,
  ) {
    this.#listening = backend.onProgress((progress) => {
      if (progress.token === this.token) onProgress(progress);
    });
  }

  readonly cancel = (): void => {
    void this.backend.request('cancel', { token: this.token }).catch(() => undefined);
  };

  dispose(): void {
    this.#listening.dispose();
  }
}
