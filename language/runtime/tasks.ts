/** What ONNX Runtime can be asked to do: each kind of task with what it needs and what it answers. Plain data both ways. */
import type { Description, MetricChoice } from '../data/description';
import type { Sizes } from '../data/generated';
import type { Score } from '../data/metrics/metric';
import type { Interval } from '../data/metrics/paired';

/** Kind → [request, answer]. */
export interface Tasks {
  load: [LoadRequest, Loaded];
  ranges: [RangesRequest, Ranges];
  moments: [CaptureRequest, Moments];
  grams: [GramsRequest, Grams];
  activations: [ActivationsRequest, Activations];
  capture: [KindsRequest, Captured];
  deviations: [DeviationsRequest, Deviations];
  evaluate: [EvaluateRequest, Evaluation];
  compare: [CompareRequest, Comparison];
  measure: [MeasureRequest, Measurement];
  profile: [ProfileRequest, Profile];
  kernels: [KernelsRequest, Kernels];
}

export type TaskKind = keyof Tasks;
export type Task = { [Kind in TaskKind]: { readonly kind: Kind } & Tasks[Kind][0] }[TaskKind];
export type ResultOf<T extends { readonly kind: TaskKind }> = Tasks[T['kind']][1];

export interface TaskProgress {
  readonly stage: string;
  /** Of `total`; samples, or runs. */
  readonly done: number;
  readonly total: number;
}

/** A data set: the path of a description, or the description itself. */
export interface DataRequest {
  readonly dataset: string | Description;
  /** Where its paths start from: the folder of the recipe, or the working directory. */
  readonly folder: string;
  /** Instead of what the description says. */
  readonly samples?: number;
  readonly seed?: number;
  /** The file that an inline description stands in, for messages. */
  readonly inlineIn?: string;
}

/** Inputs made up from the model's own types and shapes. */
export const generatedData = (samples?: number): DataRequest => ({
  dataset: { source: { generated: {} } },
  folder: '.',
  ...(samples !== undefined && { samples }),
});

interface Common {
  /** Threads within an operator; default: one per core. */
  readonly threads?: number;
  /** Sizes of free dimensions, for inputs that are made up. */
  readonly shapes?: Sizes;
}

/** Where the numbers of an answer come from. */
export interface Basis {
  readonly data: string;
  /** The inputs were made up: nothing here says how good the model is. */
  readonly generated: boolean;
  readonly samples: number;
}

export interface LoadRequest extends Common {
  readonly model: string;
}

export interface Loaded {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Execution providers that this build of ONNX Runtime brings. */
  readonly providers: readonly string[];
  readonly version: string;
}

/** An input or output as ONNX Runtime sees it. */
export interface Port {
  readonly name: string;
  /** Element type; null for a sequence, map or optional. */
  readonly type: string | null;
  /** Sizes, symbols, and '' for dimensions without a name. */
  readonly shape: readonly (number | string)[];
}

/** Something about values inside a model over a data set. */
export interface CaptureRequest extends Common {
  readonly model: string;
  /** Values of the model's main graph. */
  readonly values: readonly string[];
  readonly data: DataRequest;
}

export type RangesRequest = CaptureRequest;

export interface Ranges extends Basis {
  readonly ranges: ReadonlyMap<string, { readonly min: number; readonly max: number }>;
  /** Values without a range, with the reason: integers, booleans, values without elements. */
  readonly skipped: ReadonlyMap<string, string>;
}

export interface Moments extends Basis {
  readonly moments: ReadonlyMap<string, ChannelStatistics>;
  readonly skipped: ReadonlyMap<string, string>;
}

/** One entry per channel: the last axis, or axis 1 of what convolutions read and make. */
export interface ChannelStatistics {
  /** Elements seen per channel. */
  readonly count: number;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  readonly meanSquare: Float64Array;
}

export interface GramsRequest extends CaptureRequest {
  /** The file to write the matrices to. */
  readonly into: string;
  /** What an earlier answer told of the same model with other weights; default: it is tried. */
  readonly takes?: number | undefined;
}

export interface Grams extends Basis {
  readonly grams: ReadonlyMap<string, GramPlace>;
  /** Samples that the model takes at once. */
  readonly takes: number;
  readonly skipped: ReadonlyMap<string, string>;
}

/** `size` × `size` float64 elements that start at byte `start` of the file. */
export interface GramPlace {
  /** Rows of X that went in. */
  readonly rows: number;
  readonly size: number;
  readonly start: number;
}

export interface ActivationsRequest extends CaptureRequest {
  /** At most so many; the data set may have fewer. */
  readonly samples: number;
  /** The file to write the elements to. */
  readonly into: string;
}

export interface Activations extends Basis {
  /** One entry per run. */
  readonly activations: ReadonlyMap<string, readonly ActivationPlace[]>;
  readonly skipped: ReadonlyMap<string, string>;
}

/** float32 elements that start at byte `start` of the file. */
export interface ActivationPlace {
  readonly dims: readonly number[];
  readonly start: number;
}

/** Several kinds of statistics, captured in one pass over the data. */
export interface KindsRequest extends CaptureRequest {
  readonly moments?: boolean;
  /** Bins that each value is told in at most; absent: none are counted. */
  readonly histogramBins?: number;
  /** The same for each channel by itself. */
  readonly channelBins?: number;
  readonly attentions?: readonly AttentionProbe[];
}

/** Where the probabilities of an attention can be read. */
export type AttentionProbe =
  | {
      readonly kind: 'decomposed';
      /** The softmax. */
      readonly node: string;
      /** Undefined where nothing tells: axis −3 is taken for the heads where there is one. */
      readonly heads: number | undefined;
    }
  /** One operator for all of it. */
  | { readonly kind: 'fused'; readonly node: string };

export interface Captured extends Basis {
  readonly moments: ReadonlyMap<string, ChannelStatistics>;
  readonly histograms: ReadonlyMap<string, Histogram>;
  readonly channelHistograms: ReadonlyMap<string, readonly Histogram[]>;
  /** By node of the probe. */
  readonly attentions: ReadonlyMap<string, AttentionMap>;
  /** Values, and nodes of probes, of which there is nothing to tell, with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** Bin `i` counts the elements in [start + i·width, start + (i+1)·width). Empty bins at both ends are left out. */
export interface Histogram {
  readonly start: number;
  /** A power of two. */
  readonly width: number;
  readonly counts: Float64Array;
}

/** Mean attention over the samples: how much each query takes of each key. */
export interface AttentionMap {
  /** Maps that went into each mean: samples, times windows where the model has them. */
  readonly count: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** `heads` × `queries` × `keys`. */
  readonly mean: Float64Array;
}

export interface DeviationsRequest extends Common {
  readonly reference: string;
  readonly candidates: readonly string[];
  /** What progress calls the candidates; default: their files. */
  readonly names?: readonly string[];
  readonly data: DataRequest;
}

export interface Deviations extends Basis {
  /**
   * Of each candidate: Σ(a − b)² / Σa² over all float outputs and samples. Infinite where outputs are of other sizes or not
   * numbers.
   */
  readonly deviations: readonly number[];
}

export interface EvaluateRequest extends Common {
  readonly model: string;
  readonly data: DataRequest;
  /** Instead of the data set's own. */
  readonly metric?: MetricChoice;
}

export interface Evaluation extends Basis, Score {
  readonly metric: string;
  readonly higherIsBetter: boolean;
}

export interface CompareRequest extends Common {
  readonly reference: string;
  readonly candidate: string;
  readonly data: DataRequest;
  /** Instead of the data set's own. */
  readonly metric?: MetricChoice;
  /** Whether to say how far chance may have moved the loss of the metric: takes twenty times the judging. */
  readonly interval?: boolean;
}

export interface Comparison extends Basis {
  /** Of the reference, in its order. */
  readonly outputs: readonly OutputComparison[];
  /** Of both models on the same samples; absent where the data set names no metric, or is made up. */
  readonly metric?: MetricComparison;
}

/** For an output that holds scores of classes; null where it does not, or where a score is not finite. */
export interface Divergence {
  /** Mean Kullback-Leibler divergence of the candidate's probabilities from the reference's. */
  readonly klNats: number | null;
  /** Share of positions where both choose the same class. */
  readonly top1Agreement: number | null;
}

export interface OutputComparison extends Divergence {
  readonly name: string;
  /**
   * 10·log10(Σ reference² / Σ (reference − candidate)²) over all elements of all samples. Null where there is no such
   * number: for equal outputs (`maxAbs` is 0 then; the ratio is infinite), for integers, and where there is a `problem`.
   */
  readonly sqnrDb: number | null;
  /** Of all elements as one vector; null for integers, all-zero outputs and where there is a `problem`. */
  readonly cosine: number | null;
  /** Largest |reference − candidate|; null for strings and where there is a `problem`. */
  readonly maxAbs: number | null;
  /** Share of equal elements, of integers, booleans and strings; null for floats. */
  readonly agreement: number | null;
  /** Why it could not be compared. */
  readonly problem?: string;
}

export interface MetricComparison {
  readonly id: string;
  readonly higherIsBetter: boolean;
  readonly reference: Score;
  readonly candidate: Score;
  /** Relative loss, positive when worse. */
  readonly drop: number;
  /** Of the loss, paired, at 95 %, where it was asked for; null where a metric is not finite. */
  readonly interval?: Interval | null;
}

export interface MeasureRequest {
  readonly models: readonly string[];
  /** Default: made-up inputs. */
  readonly data?: DataRequest;
  readonly shapes?: Sizes;
  /** Default 1: what many threads gain depends on what else the machine does. */
  readonly threads?: number;
  /** Samples per run where the model leaves that free; default 1. */
  readonly batch?: number;
  /** How long to measure each model at least, in ms; default 1500. */
  readonly budgetMs?: number;
}

export interface Measurement {
  readonly models: readonly Speed[];
  /** What the numbers hold for: processor, threads, batch, runs. */
  readonly conditions: string;
  readonly batch: number;
  readonly threads: number;
  readonly generated: boolean;
}

export interface Speed {
  readonly model: string;
  readonly medianMs: number;
  /** From the first to the third quartile. */
  readonly spreadMs: number;
  readonly runs: number;
}

/** Like measuring one model, layer by layer. */
export interface ProfileRequest extends Omit<MeasureRequest, 'models'> {
  readonly model: string;
}

export interface Profile {
  /** In the order of the graph; nodes that are part of another's kernel, or need none, are not listed. */
  readonly layers: readonly LayerTime[];
  /** Median of a run, unwatched. */
  readonly wholeMs: number;
  readonly conditions: string;
  readonly generated: boolean;
}

export interface LayerTime {
  readonly node: string;
  readonly op: string;
  /** Median. With the time to start its kernels. */
  readonly ms: number;
  /** What ONNX Runtime executes for it; `domain.Op` outside the default domain. */
  readonly kernels: readonly string[];
  /** Other nodes whose work its kernel does. */
  readonly fused: readonly string[];
}

export interface KernelsRequest {
  readonly model: string;
}

export interface Kernels {
  /** How often each operator stands in the graph that ONNX Runtime executes; `domain.Op` outside the default domain. */
  readonly kernels: ReadonlyMap<string, number>;
  /** By node of the main graph: the kernel that does its work. Nodes that need none are not there. */
  readonly executed: ReadonlyMap<string, string>;
}

// ---- the wire between the processes

/** What the process answers; tasks are the only messages that it gets. */
export type HostMessage =
  | { readonly kind: 'progress'; readonly progress: TaskProgress }
  | {
      readonly kind: 'result';
      readonly result: Tasks[TaskKind][1];
      /** Memory that the process still has. */
      readonly heldBytes: number;
    }
  | {
      readonly kind: 'failure';
      readonly what: string;
      readonly where?: string;
      readonly hint?: string;
    };

/** The models that a task is about. */
export function modelsOf(task: Task): readonly string[] {
  switch (task.kind) {
    case 'compare':
      return [task.reference, task.candidate];
    case 'deviations':
      return [task.reference, ...task.candidates];
    case 'measure':
      return task.models;
    default:
      return [task.model];
  }
}
