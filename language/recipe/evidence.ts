/** What plans look at: weights from the model, and what running it over calibration data shows. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { throwIfCancelled, WhittleError } from '../errors';
import type { Graph } from '../graph/graph';
import { writeModel } from '../onnx/write';
import { elementCount, tensorNumbers } from '../onnx/tensor';
import type { Activations, Evidence, Gram, Situation } from '../passes/pass';
import { ArrayReader } from '../runtime/arrays';
import { runTask, type Run } from '../runtime/runtime';
import { withScratch } from '../runtime/scratch';
import type { DataRequest, ResultOf, Task } from '../runtime/tasks';

export interface EvidenceOptions {
  /** Calibration data; undefined where the recipe names none. */
  readonly data: DataRequest;
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  readonly signal: AbortSignal;
  /** With how far the measurement at hand is, 0 to 1, where that is known. */
  readonly onProgress: (detail: string, part?: number) => void;
  readonly runtimeEntry?: string | undefined;
}

/** @param run default: every measurement in a process of its own */
export function gatherEvidence(
  situation: Situation,
  options: EvidenceOptions,
  run: Run = (task, onProgress) =>
    runTask(task, { signal: options.signal, entry: options.runtimeEntry, onProgress }),
): Evidence {
  const measure = new Measuring(situation.graph, options, run);
  return {
    signal: options.signal,
    progress: (layer) => options.onProgress(layer),
    numbers(tensor) {
      throwIfCancelled(options.signal);
      return tensorNumbers(tensor);
    },
    async ranges(values, graph) {
      if (values.length === 0) return new Map();
      return (await measure.capture({ kind: 'ranges', values }, graph)).ranges;
    },
    async moments(values, graph) {
      if (values.length === 0) return new Map();
      return (await measure.capture({ kind: 'moments', values }, graph)).moments;
    },
    grams: (values, graph) => measure.grams(values, graph),
    activations: (values, samples, graph) => measure.activations(values, samples, graph),
    deviations: (candidates, names) => measure.deviations(candidates, names),
    latencies: (candidates) => measure.latencies(candidates),
  };
}

/** How long each candidate is timed, in ms. */
const TIMING_MS = 600;
/** What the candidates that are open at once may take on disk and about as much in memory, and how many they may be. */
const CANDIDATE_BYTES = 512 * 2 ** 20;
const MAX_CANDIDATES = 16;

type Capture = Extract<Task, { readonly values: readonly string[] }>;
type Ask<T> = T extends Task ? Omit<T, 'model' | 'data' | 'shapes'> : never;

class Measuring {
  /** Samples that the model takes at once, once that is known. */
  #takes: number | undefined;

  constructor(
    private readonly graph: Graph,
    private readonly options: EvidenceOptions,
    private readonly run: Run,
  ) {}

  /** @throws WhittleError where one of the values cannot be measured */
  async capture<K extends Capture['kind']>(
    ask: Extract<Ask<Capture>, { readonly kind: K }>,
    graph = this.graph,
  ): Promise<ResultOf<Extract<Task, { kind: K }>>> {
    const { data, sizes } = this.options;
    return withScratch(async (folder) => {
      const model = this.#file(graph, folder, 'model.onnx');
      const task = { ...ask, model, data, shapes: sizes } as unknown as Extract<Task, { kind: K }>;
      const result = await this.#run(task);
      for (const [value, reason] of result.skipped)
        throw new WhittleError(`${value} cannot be calibrated: ${reason}`, {
          where: this.graph.model.path ?? '',
        });
      return result;
    });
  }

  async grams(values: readonly string[], graph?: Graph): Promise<ReadonlyMap<string, Gram>> {
    if (values.length === 0) return new Map();
    return this.#throughFile(
      async (into) => {
        const takes = this.#takes;
        const answer = await this.capture({ kind: 'grams', values, into, takes }, graph);
        this.#takes = answer.takes;
        return answer.grams;
      },
      ({ rows, size, start }, file) => ({
        rows,
        size,
        data: file.read(start, new Float64Array(size * size)),
      }),
    );
  }

  async activations(
    values: readonly string[],
    samples: number,
    graph?: Graph,
  ): Promise<ReadonlyMap<string, Activations>> {
    if (values.length === 0) return new Map();
    return this.#throughFile(
      async (into) =>
        (await this.capture({ kind: 'activations', values, samples, into }, graph)).activations,
      (runs, file) =>
        runs.map(({ dims, start }) => ({
          dims,
          data: file.read(start, new Float32Array(elementCount(dims))),
        })),
    );
  }

  /** What the runtime's process wrote to a file is read once that process holds it no more. */
  async #throughFile<Place, Content>(
    work: (into: string) => Promise<ReadonlyMap<string, Place>>,
    read: (place: Place, file: ArrayReader) => Content,
  ): Promise<ReadonlyMap<string, Content>> {
    return withScratch(async (folder) => {
      const into = path.join(folder, 'arrays');
      const places = await work(into);
      const file = new ArrayReader(into);
      try {
        return new Map([...places].map(([value, place]) => [value, read(place, file)]));
      } finally {
        file.close();
      }
    });
  }

  async deviations(
    candidates: readonly Graph[],
    names?: readonly string[],
  ): Promise<readonly number[]> {
    const { data, sizes } = this.options;
    const found: number[] = [];
    while (found.length < candidates.length)
      await withScratch(async (folder) => {
        const reference = this.#file(this.graph, folder, 'model.onnx');
        const files: string[] = [];
        let bytes = 0;
        for (const candidate of candidates.slice(found.length, found.length + MAX_CANDIDATES)) {
          const file = this.#file(
            candidate,
            folder,
            `candidate-${found.length + files.length}.onnx`,
          );
          bytes += sizeOnDisk(file);
          files.push(file);
          if (bytes > CANDIDATE_BYTES) break;
        }
        const task = {
          kind: 'deviations',
          reference,
          candidates: files,
          ...(names && { names: names.slice(found.length, found.length + files.length) }),
          data,
          shapes: sizes,
        } as const;
        const [before, here] = [found.length, files.length].map((n) => n / candidates.length);
        found.push(...(await this.#run(task, (part) => before! + here! * part)).deviations);
      });
    return found;
  }

  async latencies(candidates: readonly Graph[]): Promise<readonly number[]> {
    if (candidates.length === 0) return [];
    return withScratch(async (folder) => {
      const models = candidates.map((graph, i) => this.#file(graph, folder, `candidate-${i}.onnx`));
      const { sizes: shapes } = this.options;
      const task = { kind: 'measure', models, shapes, budgetMs: TIMING_MS } as const;
      return (await this.#run(task)).models.map(({ medianMs }) => medianMs);
    });
  }

  /** @param of the whole, where the task is a part of it */
  #run<T extends Task>(task: T, of = (part: number) => part): Promise<ResultOf<T>> {
    return this.run(task, ({ stage, done, total }) =>
      this.options.onProgress(
        `${stage} ${Math.floor(done)} of ${total}`,
        of(done / Math.max(1, total)),
      ),
    );
  }

  /** The graph as a file that ONNX Runtime can load: the model itself while nothing was edited, else a temporary copy. */
  #file(graph: Graph, folder: string, name: string): string {
    if (!graph.edited && graph.model.path) return graph.model.path;
    const file = path.join(folder, name);
    writeModel(graph.model, graph.toRecord(), graph.opsets, file, this.options.signal);
    return file;
  }
}

function sizeOnDisk(model: string): number {
  const external = statSync(`${model}.data`, { throwIfNoEntry: false })?.size ?? 0;
  return statSync(model).size + external;
}
