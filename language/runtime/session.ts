/** ONNX Runtime, and models loaded into it. Used only within the process that `host.ts` starts. */
import path from 'node:path';
import type * as Ort from 'onnxruntime-node';
import { describeError, WhittleError } from '../errors';
import type { FeedTensor, ModelInput } from '../data/feed';
import { Graph } from '../graph/graph';
import type { Model } from '../onnx/model';
import { readModelFile } from '../onnx/read';
import { elementTypeOf } from '../onnx/schema';
import { fromFloat16 } from '../onnx/tensor';
import { indexBound } from './bounds';
import { cachesOf } from './caches';
import type { Port } from './tasks';

export interface SessionOptions {
  /** Threads within an operator; default: one per core. */
  readonly threads?: number | undefined;
  readonly optimisation?: 'disabled' | 'basic' | 'all';
  /** Where to write the graph that is executed. */
  readonly optimisedFile?: string;
  /** Profiles every run; the file is written by `endProfiling`, its name starts with this path. */
  readonly profilePrefix?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Gives memory back after each operator, at the cost of some speed. */
  readonly frugal?: boolean;
  /** The model that messages name, with the same inputs, where the file is a temporary copy of it. */
  readonly copyOf?: string | undefined;
}

export interface Session {
  readonly file: string;
  /** What has to be fed, as the file declares it. */
  readonly inputs: readonly ModelInput[];
  /** Tensors only: nothing here can look into sequences and maps. */
  readonly outputs: readonly Port[];
  /** Everything that goes in and comes out, as ONNX Runtime sees it. */
  readonly declared: { readonly inputs: readonly Port[]; readonly outputs: readonly Port[] };
  /** @param wanted names of outputs; default: all tensors */
  run(feeds: Feeds, wanted?: readonly string[]): Promise<ReadonlyMap<string, Output>>;
  /** Something to run again and again on the same inputs; answers the time it took, in ms. */
  timer(feeds: Feeds): () => Promise<number>;
  endProfiling(): void;
  release(): Promise<void>;
}

export type Feeds = ReadonlyMap<string, FeedTensor>;

export interface Output {
  readonly type: string;
  readonly dims: readonly number[];
  /** Elements as numbers, 16-bit floats widened; undefined for strings. */
  readonly values: Numbers | undefined;
  readonly strings: readonly string[] | undefined;
}

export interface Numbers extends ArrayLike<number> {
  subarray(start: number, end: number): Numbers;
}

/** @throws WhittleError when the model cannot be read, or ONNX Runtime has no binary here or refuses it */
export async function openSession(given: string, options: SessionOptions = {}): Promise<Session> {
  const file = options.copyOf ?? given;
  const inputs = declaredInputs(file);
  const ort = await loadRuntime();
  const session = await createSession(ort, given, options).catch((cause: unknown) => {
    throw new WhittleError(`ONNX Runtime cannot load the model: ${plainMessage(cause)}`, {
      where: file,
      cause,
    });
  });
  const declared = {
    inputs: session.inputMetadata.map(portOf),
    outputs: session.outputMetadata.map(portOf),
  };
  const outputs = declared.outputs.filter((port) => port.type !== null);
  const tensorNames = outputs.map((port) => port.name);
  const run = async (feeds: Ort.InferenceSession.FeedsType, wanted: readonly string[]) => {
    if (wanted.length === 0)
      throw new WhittleError('none of the outputs of the model is a tensor', { where: file });
    try {
      return await session.run(feeds, wanted);
    } catch (cause) {
      throw new WhittleError(`ONNX Runtime cannot run the model: ${plainMessage(cause)}`, {
        where: file,
        cause,
      });
    }
  };
  return {
    file,
    inputs,
    outputs,
    declared,
    async run(feeds, wanted = tensorNames) {
      const results = await run(toFeeds(ort, feeds), wanted);
      return new Map(wanted.map((name) => [name, readOutput(results[name]!)]));
    },
    timer(feeds) {
      const tensors = toFeeds(ort, feeds);
      return async () => {
        const start = performance.now();
        await run(tensors, tensorNames);
        return performance.now() - start;
      };
    },
    endProfiling: () => session.endProfiling(),
    release: () => session.release(),
  };
}

/** @throws WhittleError where this machine has no binary, with what works without it */
export async function loadRuntime(): Promise<typeof Ort> {
  try {
    const ort = await import('onnxruntime-node');
    ort.env.logLevel = 'fatal'; // errors come back as exceptions
    return ort;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    const machine = `${process.platform} ${process.arch}`;
    throw new WhittleError(
      missing
        ? `ONNX Runtime has no binary for this machine (${machine})`
        : `ONNX Runtime cannot be loaded on this machine (${machine}): ${describeError(cause)}`,
      {
        hint: 'Viewing, costing, editing and passes that need no data work without it; running a model does not',
        cause,
      },
    );
  }
}

/** What progress calls a model. */
export const nameOf = (file: string): string => path.basename(file);

/** The structure of a model. @throws WhittleError with the name of the file, whatever is wrong inside it */
export function readStructure(file: string): Model {
  try {
    return readModelFile(file);
  } catch (error) {
    if (!(error instanceof WhittleError) || error.message.includes(file)) throw error;
    throw new WhittleError(`${nameOf(file)}: ${error.message}`, { cause: error });
  }
}

/** @param file the model itself: a copy made to watch values has its inputs, and less that tells of them */
function declaredInputs(file: string): readonly ModelInput[] {
  const graph = Graph.of(readStructure(file));
  const caches = cachesOf(graph);
  return graph.inputs.map(({ name, type }) => {
    if (type.kind !== 'tensor') return { name, elementType: type.kind, shape: undefined };
    const { elementType, shape } = type;
    const below = indexBound(graph, name);
    const cache = caches.get(name);
    return {
      name,
      elementType,
      shape,
      ...(below !== undefined && { below }),
      ...(cache && { cache }),
    };
  });
}

async function createSession(
  ort: typeof Ort,
  file: string,
  { threads, optimisation = 'all', optimisedFile, profilePrefix, extra, frugal }: SessionOptions,
): Promise<Ort.InferenceSession> {
  return await ort.InferenceSession.create(file, {
    logSeverityLevel: 4,
    graphOptimizationLevel: optimisation,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(optimisedFile !== undefined && { optimizedModelFilePath: optimisedFile }),
    ...(profilePrefix !== undefined && {
      enableProfiling: true,
      profileFilePrefix: profilePrefix,
    }),
    ...(frugal && { enableCpuMemArena: false, enableMemPattern: false }),
    ...(extra && { extra }),
  });
}

const MAX_MESSAGE = 2000;

/** ONNX Runtime's message without the path, which is said anyway, and without its source lines and functions. */
function plainMessage(error: unknown): string {
  return describeError(error)
    .replace(/^Load model from .*? failed:/, '')
    .slice(0, MAX_MESSAGE)
    .replace(/\S+\.(cc|h):\d+ ([^()]*::[^()\s]+\(([^()]|\([^()]*\))*\)( const)? )?/g, '')
    .replace(/^Unsupported data type: (\d+)$/, (_, code: string) => {
      return `inputs and outputs of ${elementTypeOf(Number(code))} cannot be passed`;
    })
    .replace(/\s+/g, ' ')
    .trim();
}

const portOf = (info: Ort.InferenceSession.ValueMetadata): Port =>
  info.isTensor
    ? { name: info.name, type: info.type, shape: info.shape }
    : { name: info.name, type: null, shape: [] };

function toFeeds(ort: typeof Ort, feeds: Feeds): Ort.InferenceSession.FeedsType {
  const tensor = ({ type, data, dims }: FeedTensor) =>
    new ort.Tensor(type as 'float32', data as Float32Array, dims);
  return Object.fromEntries([...feeds].map(([name, feed]) => [name, tensor(feed)]));
}

function readOutput({ type, dims, data }: Ort.Tensor): Output {
  if (Array.isArray(data)) return { type, dims, values: undefined, strings: data };
  return { type, dims, values: asNumbers(type, data), strings: undefined };
}

function asNumbers(type: string, data: Exclude<Ort.Tensor['data'], string[]>): Numbers {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return Float64Array.from(data, Number);
  // Where JavaScript knows no 16-bit floats yet, they come as their bits.
  if (type === 'float16' && data instanceof Uint16Array)
    return Float32Array.from(data, fromFloat16);
  return data;
}
