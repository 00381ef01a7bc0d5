/**
 * Everything that crosses a process or an iframe: requests, events and their payloads. The server answers the extension
 * (`ServerRequests`), the extension answers the webview (`HostRequests`, most of them passed on to the server) and tells
 * it what happened (`HostEvents`). Payloads are plain JSON.
 */

// ---- vocabulary

export const FAMILIES = ['quantize', 'cast', 'prune', 'tokens', 'target', 'graph'] as const;
export type Family = (typeof FAMILIES)[number];

export interface Paper {
  readonly title: string;
  readonly authors: string;
  readonly venue: string;
}

export interface PassInfo {
  readonly id: string;
  readonly title: string;
  readonly family: Family;
  readonly summary: string;
  readonly paper: Paper | null;
  /** JSON schema of an object: the pass's parameters, in the order of the form. */
  readonly parameters: ParameterSchema;
}

/** The part of JSON Schema that parameter forms are made from. */
export interface ParameterSchema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, ParameterProperty>>;
  readonly required?: readonly string[];
}

export interface ParameterProperty {
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: 'number' | 'integer' | 'boolean' | 'string' | 'array';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly enum?: readonly (string | number)[];
  readonly items?: ParameterProperty;
  readonly anyOf?: readonly ParameterProperty[];
  /** What the value means: a target id asks for the target picker, a ratio for a slider in percent. */
  readonly role?: 'ratio' | 'target';
  /** One value for all sites, or a list with one per entry of `at`. */
  readonly perSite?: boolean;
}

export interface TargetInfo {
  /** `kind.name`, or the path of a profile. */
  readonly id: string;
  readonly kind: 'mobile' | 'fpga' | 'asic' | 'reram' | 'host';
  readonly title: string;
  /** Where its numbers come from and how far they can be trusted, in a few words. */
  readonly basis: string;
  readonly sources: readonly string[];
}

export interface TemplateInfo {
  readonly id: string;
  readonly title: string;
  readonly summary: string;
  readonly path: string;
}

/** A number before and after the recipe; null where unknown. */
export interface Change {
  readonly before: number | null;
  readonly after: number | null;
  /** Rests on a decision not yet taken, or on an unfinished plan. */
  readonly estimated?: boolean;
  /** Some layer is unknown: at least this much. */
  readonly partial?: boolean;
}

/** What nodes can be coloured and ranked by. */
export const METRICS = ['latency', 'energy', 'macs', 'parameters', 'activations'] as const;
export type Metric = (typeof METRICS)[number];

// ---- the design: what the designer and the viewer draw

export interface DesignRequest {
  /** URI of the recipe document, or of the model in the viewer. */
  readonly document: string;
  /** Ids of the blocks and stacks that are open; null: whatever shows the model well. */
  readonly open: readonly string[] | null;
  /** The target that nodes show. */
  readonly target: string;
  /** A parameter in motion, not yet written to the recipe. */
  readonly draft?: { readonly step: number; readonly parameter: string; readonly value: unknown };
  /** Layers whose sensitivity is shown, to be found in the view. */
  readonly effects?: EffectsRequest;
}

export interface EffectsRequest {
  /** Of the answer that measured them. */
  readonly key: string;
  readonly pass: string;
  /** Where the step was then. */
  readonly step: number;
  /** Nodes of the original model. */
  readonly layers: readonly string[];
}

/** What a measured sensitivity still means for the recipe as it stands. */
export interface EffectsInView {
  readonly key: string;
  /** Where the step is now; null when it has gone. */
  readonly step: number | null;
  /** Model, data, earlier steps or parameters are not those that were measured. */
  readonly stale: boolean;
  /** The visible node that each layer is drawn in, in the order of the request; null where it is not drawn. */
  readonly shown: readonly (string | null)[];
  /** Whether the step works on each layer now; null while it does not run. */
  readonly worked: readonly boolean[] | null;
  /** How many layers the step works on that were not measured. */
  readonly others: number;
}

export interface Design {
  readonly model: ModelSummary;
  /** Null in the viewer. */
  readonly recipe: RecipeSummary | null;
  readonly view: GraphView;
  /** Ids of the blocks and stacks that are open. */
  readonly open: readonly string[];
  readonly totals: readonly TargetTotals[];
  /** Before and after, whatever the target. */
  readonly counts: {
    readonly macs: Change;
    readonly parameters: Change;
    readonly weightBytes: Change;
  };
  readonly problems: readonly Problem[];
  /** Answers `effects` of the request. */
  readonly effects?: EffectsInView;
}

export interface Problem {
  readonly severity: 'error' | 'warning' | 'info';
  readonly message: string;
  /** The layer or step it is about. */
  readonly node?: string;
  readonly step?: number;
}

export interface ModelSummary {
  readonly name: string;
  readonly path: string;
  readonly producer: string;
  readonly opset: number;
  readonly ir: number;
  readonly nodes: number;
  readonly inputs: readonly ValueSummary[];
  readonly outputs: readonly ValueSummary[];
  /** Dimensions that need a size before costs are known. */
  readonly free: readonly { readonly symbol: string; readonly inputs: readonly string[] }[];
  /** Leading dimensions taken as 1 because nobody said otherwise. */
  readonly assumed: Readonly<Record<string, number>>;
  /** Layers whose arithmetic could not be counted, with the reason. */
  readonly unknown: readonly {
    readonly node: string;
    readonly op: string;
    readonly reason: string;
  }[];
}

export interface ValueSummary {
  readonly name: string;
  readonly type: string;
  /** Sizes and symbols as text: `batch × 3 × 32 × 32`. */
  readonly shape: string;
}

export interface RecipeSummary {
  /** File name, or undefined while untitled. */
  readonly name: string;
  /** The samples that each use has; null where the recipe names none. */
  readonly data: Readonly<Record<DataUse, DataSummary | null>>;
  /** Title of the first step that finds its ranges on calibration data. */
  readonly calibrated: string | null;
  readonly targets: readonly string[];
  readonly steps: readonly StepSummary[];
  readonly budget: { readonly target: string; readonly maxMs: number } | null;
}

/** What samples are for: finding ranges, and judging the result. */
export const DATA_USES = ['calibration', 'evaluation'] as const;
export type DataUse = (typeof DATA_USES)[number];

export interface DataSummary {
  /** The description's path as the recipe has it; null when the recipe describes the data itself. */
  readonly file: string | null;
  /** Inputs are made up, so nothing learnt from them holds for real ones. */
  readonly generated: boolean;
  /** Null: all of them. */
  readonly samples: number | null;
}

/** What reports and analyses call data whose inputs were made up. */
export const MADE_UP_INPUTS = 'made-up inputs';

/** A data set as a recipe names it: the path of its description, or made-up inputs. */
export type DataReference = string | { readonly source: { readonly generated: object } };

export interface StepSummary {
  readonly pass: string;
  readonly title: string;
  readonly family: Family;
  readonly enabled: boolean;
  /** Undefined: the pass's default sites. */
  readonly at: readonly string[] | undefined;
  readonly except: readonly string[];
  readonly parameters: Readonly<Record<string, unknown>>;
  /** How many sites it works on. */
  readonly sites: number;
  readonly skipped: readonly { readonly node: string; readonly reason: string }[];
  /** Latency on the shown target just before and just after this step. */
  readonly latencyMs: Change;
  /** Why the step cannot run; the steps after it are left out too. */
  readonly error?: string;
}

export interface TargetTotals {
  readonly target: string;
  readonly title: string;
  readonly latencyMs: Change;
  readonly energyMj: Change;
  readonly peakMemoryBytes: Change;
  /** What most of the time is bound by, after. */
  readonly bound: string;
  readonly basis: string;
  /** How far the latency after the recipe can be trusted. */
  readonly confidence: TargetConfidence;
  readonly resources: { readonly dsp: number; readonly lut: number; readonly bram: number } | null;
  /** Of hardware whose layers work all at once: one input through all of them, and until the next may follow. */
  readonly pipeline: { readonly latencyMs: number; readonly intervalMs: number } | null;
  readonly warnings: readonly string[];
}

export interface TargetConfidence {
  /** Between these a measurement would most likely lie; null where nothing is known of the error. */
  readonly lowMs: number | null;
  readonly highMs: number | null;
  /** `not validated`: for networks of this kind nothing was checked. */
  readonly level: 'validated' | 'wider' | 'not validated';
  /** Why, in words. */
  readonly note: string;
}

/** The visible graph, laid out: blocks that are not open stand for everything in them. */
export interface GraphView {
  readonly nodes: readonly ViewNode[];
  readonly edges: readonly ViewEdge[];
  readonly width: number;
  readonly height: number;
}

export interface ViewNode {
  /** Node id of a layer, scope path of a block, `first…last` of a stack. */
  readonly id: string;
  readonly kind: 'input' | 'output' | 'layer' | 'block' | 'stack';
  /** The open block it lies in, or null at the root. */
  readonly parent: string | null;
  /** What a step dropped here names in `at`. */
  readonly at: readonly string[];
  readonly title: string;
  /** Operator of a layer; `12 × Block` of a stack; number of layers of a block. */
  readonly subtitle: string;
  readonly shape: string;
  /** The shape before the recipe, where it differs. */
  readonly shapeBefore: string | null;
  readonly open: boolean;
  /** Can be opened. */
  readonly foldable: boolean;
  /** Top left, in the coordinates of the whole view. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly status: 'kept' | 'changed' | 'inserted' | 'removed';
  /** Family of the step that changed it last. */
  readonly family: Family | null;
  readonly chips: readonly Chip[];
  /** Where the recipe says how finely its weights are rounded; null where it does not. */
  readonly rounding: Rounding | null;
  readonly cost: NodeCost;
  /** Of a folded block: latency shares of its parts in order, as parts of the block, for the strip. */
  readonly strip: readonly number[];
}

export interface Rounding {
  /** Of the recipe's list. */
  readonly step: number;
  /** The step names it as an exception. */
  readonly leftOut: boolean;
}

export interface Chip {
  readonly text: string;
  readonly family: Family | null;
  readonly warning?: boolean;
}

export interface NodeCost {
  readonly macs: Change;
  readonly parameters: Change;
  readonly latencyMs: Change;
  readonly energyMj: Change;
  readonly activationBytes: Change;
  /** Share of the whole model after the recipe, 0 to 1, by metric; null where unknown. */
  readonly share: Readonly<Record<Metric, number | null>>;
  readonly bound: string;
  /** Why a number here is missing. */
  readonly unknown: string | null;
}

export interface ViewEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Shape of the value that flows, where it is one. */
  readonly label: string;
  readonly status: 'kept' | 'inserted' | 'removed';
  /**
   * Points that the line passes vertically, from the bottom of `from` to the top of `to`; a curve with vertical ends joins
   * two of them. Absent: straight from one node to the other.
   */
  readonly route?: readonly { readonly x: number; readonly y: number }[];
}

// ---- details on request

export interface NodeRequest {
  readonly document: string;
  readonly open: readonly string[] | null;
  /** Id of a visible node. */
  readonly node: string;
  readonly target: string;
}

/** The properties panel of one node, block or stack. */
export interface NodeDetails {
  readonly id: string;
  readonly title: string;
  readonly op: string | null;
  readonly scope: string;
  readonly layers: number;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
  readonly inputs: readonly (ValueSummary & {
    readonly constant: boolean;
    readonly from: string | null;
  })[];
  readonly outputs: readonly (ValueSummary & { readonly to: readonly string[] })[];
  readonly tensors: readonly TensorSummary[];
  readonly cost: NodeCost;
  readonly weightBytes: Change;
  /** Per target: the terms that make the number, and how the work maps to the hardware. */
  readonly why: readonly {
    readonly target: string;
    readonly title: string;
    readonly latencyMs: number | null;
    readonly energyMj: number | null;
    readonly bound: string;
    readonly utilisation: number | null;
    readonly terms: readonly { readonly name: string; readonly ms: number }[];
    readonly mapping: string | null;
    /** Why it runs on the processor beside the target; of several layers, each reason once. */
    readonly unsupported: string | null;
    readonly basis: string;
  }[];
}

export interface RooflineRequest {
  readonly document: string;
  readonly open: readonly string[] | null;
  readonly target: string;
}

/** How the layers of the model stand under the roofs of a target, and what each kind of layer takes. All of it is modelled. */
export interface Roofline {
  readonly target: string;
  readonly title: string;
  /** Why this target has no chart. */
  readonly none: string | null;
  /** What arithmetic achieves at best, the highest first. */
  readonly compute: readonly { readonly name: string; readonly gmacPerS: number }[];
  /** How fast data can come, the fastest first. */
  readonly memory: readonly { readonly name: string; readonly gbPerS: number }[];
  /** Layers with products after the recipe, the dearest first. */
  readonly layers: readonly RooflineLayer[];
  /** The dearest first. */
  readonly families: readonly FamilyCost[];
  /** Latency that belongs to no layer: what every run takes, transfers. */
  readonly besideMs: Change;
}

/** A roofline that belongs to no view. */
export type TargetRoofline = Omit<Roofline, 'layers'> & {
  readonly layers: readonly Omit<RooflineLayer, 'shown'>[];
};

export interface RooflineLayer {
  /** Id of the layer after the recipe. */
  readonly node: string;
  readonly op: string;
  /** The visible node that it is drawn in; null where it is not drawn. */
  readonly shown: string | null;
  readonly bound: string;
  readonly latencyMs: number;
  /** Of the model's latency, 0 to 1. */
  readonly share: number;
  readonly at: RooflinePlace;
  /** Where it stood before the recipe, if it has moved. */
  readonly before: RooflinePlace | null;
}

export interface RooflinePlace {
  /** Multiply-accumulates per byte that the layer reads and writes. */
  readonly macsPerByte: number;
  readonly gmacPerS: number;
}

/** What the layers of one kind take together. */
export interface FamilyCost {
  readonly family: string;
  readonly layers: number;
  readonly latencyMs: Change;
  readonly macs: Change;
  /** Of the model's latency after the recipe, 0 to 1. */
  readonly share: number;
}

export interface TensorSummary {
  readonly name: string;
  readonly type: string;
  readonly shape: string;
  readonly bytes: number;
}

export interface TensorRequest {
  readonly document: string;
  readonly tensor: string;
}

/** Read from the weights when asked for. */
export interface TensorStatistics {
  readonly name: string;
  readonly elements: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly standardDeviation: number;
  /** Share of elements that are zero, 0 to 1. */
  readonly zeros: number;
  /** Counts of equal bins from min to max. */
  readonly histogram: readonly number[];
}

export interface PlacesRequest {
  readonly document: string;
  readonly open: readonly string[] | null;
  readonly pass: string;
}

/** Where a pass could be dropped, by visible node: how many sites it would take, or why none. */
export type Places = Readonly<
  Record<string, { readonly sites: number; readonly reason: string | null }>
>;

export interface GainRequest {
  readonly document: string;
  readonly pass: string;
  readonly at: readonly string[];
  readonly target: string;
}

/** What a step would bring if it were added now with its default parameters. */
export interface Gain {
  readonly latencyMs: Change;
  readonly macs: Change;
  readonly error: string | null;
}

// ---- edits of the recipe

export type RecipeEdit =
  | {
      readonly kind: 'add';
      readonly pass: string;
      readonly at: readonly string[];
      readonly parameters?: Readonly<Record<string, unknown>>;
    }
  | {
      readonly kind: 'set';
      readonly step: number;
      readonly parameter: string;
      readonly value: unknown;
    }
  | { readonly kind: 'retarget'; readonly step: number; readonly at: readonly string[] }
  /** Leaves a layer of the original model out of a step, or takes it in again. */
  | {
      readonly kind: 'except';
      readonly step: number;
      readonly node: string;
      readonly excepted: boolean;
    }
  /** Leaves a layer out of a step, and has a step right after it do the layer with another value of a parameter. */
  | {
      readonly kind: 'part';
      readonly step: number;
      readonly node: string;
      readonly parameter: string;
      readonly value: unknown;
    }
  /** Layers of a step get other bits than the rest of it: `own` again those of the step, null none. */
  | {
      readonly kind: 'bits';
      readonly step: number;
      readonly nodes: readonly string[];
      readonly bits: number | 'own' | null;
    }
  | { readonly kind: 'enable'; readonly step: number; readonly enabled: boolean }
  | { readonly kind: 'move'; readonly step: number; readonly to: number }
  | { readonly kind: 'remove'; readonly step: number }
  | { readonly kind: 'targets'; readonly targets: readonly string[] }
  | { readonly kind: 'data'; readonly use: DataUse; readonly dataset: DataReference }
  | { readonly kind: 'bind'; readonly symbol: string; readonly size: number };

export interface EditRequest {
  readonly document: string;
  readonly edit: RecipeEdit;
}

/** A replacement in the recipe's text, by offset. */
export interface TextChange {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

// ---- applying

export interface ApplyRequest {
  /** URI of an open document, or path of a file. */
  readonly recipe: string;
  /** Overrides the recipe's model. */
  readonly model?: string;
  /** In place of what the recipe names. */
  readonly calibration?: DataReference;
  readonly output: string;
  readonly overwrite: boolean;
  /** Names the progress events of this run. */
  readonly token: string;
}

export interface DataRequest {
  /** URI of an open document, or path of a file. */
  readonly recipe: string;
  readonly model?: string;
  /** Descriptions of data sets to judge. */
  readonly files: readonly string[];
}

export interface DataOffer {
  /** Title of the first enabled step that needs calibration data while the recipe names none, or only made-up inputs. */
  readonly missing: string | null;
  /** The recipe says itself that its inputs are made up. */
  readonly madeUp: boolean;
  /** Whether the recipe names samples for each use, made-up ones included. */
  readonly named: Readonly<Record<DataUse, boolean>>;
  readonly choices: readonly DataChoice[];
}

/** A data set that a recipe could use. */
export interface DataChoice {
  readonly file: string;
  /** As the recipe would name it. */
  readonly reference: string;
  /** Inputs of the model that it does not feed; none is good. */
  readonly unfed: readonly string[];
  /** What it can judge with, where it has answers to compare to. */
  readonly metric: string | null;
  /** Why it cannot be used at all. */
  readonly error: string | null;
}

export interface SensitivityRequest {
  /** URI of an open document, or path of a file. */
  readonly recipe: string;
  /** Overrides the recipe's model. */
  readonly model?: string;
  /** Position in the recipe, from 0. */
  readonly step: number;
  /** Judge by the metric of the recipe's evaluation data, not by the error of the outputs. */
  readonly byMetric: boolean;
  /** Names the progress events of this run. */
  readonly token: string;
}

/** What a step does to the outputs where it changes one layer alone. All of it is measured. */
export interface Sensitivity {
  readonly pass: string;
  readonly title: string;
  readonly step: number;
  /** What layers are judged by: `output error`, or the id of a metric. */
  readonly judge: string;
  readonly data: string;
  /** The metric before the step. */
  readonly before: number | null;
  /** The most fragile first. */
  readonly layers: readonly SensitivityLayer[];
  readonly skipped: readonly { readonly node: string; readonly reason: string }[];
}

/** A sensitivity and what it holds for, as the server answers it. */
export interface StepSensitivity extends Sensitivity {
  /** Equal for equal model, data, earlier steps and parameters. */
  readonly key: string;
  /** Names of the layers in the original model, in the order of `layers`. */
  readonly origins: readonly string[];
  readonly byMetric: boolean;
  /** Inputs were made up: nothing measured on them holds for real ones. */
  readonly madeUp: boolean;
}

export interface SensitivityLayer {
  readonly node: string;
  readonly op: string;
  /** Σ(a − b)² / Σa² over all float outputs; null where outputs are not finite any more. */
  readonly error?: number | null;
  /** The same in dB; null where nothing changed, or outputs are not finite. */
  readonly sqnrDb?: number | null;
  readonly metric?: number;
  /** Relative loss of the metric, positive when worse. */
  readonly drop?: number;
}

export interface ActivationsRequest {
  /** URI of the recipe's document. */
  readonly document: string;
  readonly open: readonly string[] | null;
  /** Id of a visible node. */
  readonly node: string;
  readonly target: string;
  /** Names the progress events of this run. */
  readonly token: string;
}

/** What goes in and out of a node on real samples. All of it is measured, on the model before the recipe. */
export interface NodeActivations {
  readonly data: string;
  readonly samples: number;
  /** Inputs were made up: nothing measured on them holds for real ones. */
  readonly madeUp: boolean;
  readonly values: readonly ValueActivations[];
  readonly attentions: readonly AttentionShown[];
  /** Values and attentions of which there is nothing to tell. */
  readonly skipped: readonly { readonly node: string; readonly reason: string }[];
}

export interface ValueActivations {
  readonly name: string;
  /** Seen from the node. */
  readonly side: 'input' | 'output';
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly standardDeviation: number;
  /** Bin `i` starts at `start + i·width`. */
  readonly histogram: {
    readonly start: number;
    readonly width: number;
    readonly counts: readonly number[];
  };
  /** Null where there is one channel only. */
  readonly channels: ChannelPeaks | null;
}

/** Largest |x| by channel: one that stands out costs all the others digits. */
export interface ChannelPeaks {
  readonly count: number;
  /** In order; where channels are many, the largest of neighbours. */
  readonly peaks: readonly number[];
  readonly largest: number;
  /** The channel that has it, from 0. */
  readonly at: number;
  readonly median: number;
}

/** How much queries take of keys, the mean over heads and samples. */
export interface AttentionShown {
  readonly node: string;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  /** Where there are many, each row and column is the mean of neighbours. */
  readonly rows: number;
  readonly columns: number;
  /** `rows` × `columns`, row after row. */
  readonly mean: readonly number[];
}

export interface Progress {
  readonly token: string;
  /** Of the steps, `write`, `check` and so on, in order. */
  readonly phase: string;
  readonly detail: string;
  /** 0 to 1, never falling. */
  readonly fraction: number;
}

export interface CalibrateRequest {
  /** Null: this machine, measured layer by layer. */
  readonly device: {
    /** The profile to start from. */
    readonly target: string;
    /** CSV file of measurements. */
    readonly table: string;
    /** Where the profile goes. */
    readonly output: string;
  } | null;
  readonly token: string;
}

export interface Calibrated {
  readonly target: TargetInfo;
  readonly file: string;
}

export interface Applied {
  readonly output: string;
  readonly report: string;
}

/** Written beside the output as `….report.json`; the report view draws it. */
export interface Report {
  readonly version: 1;
  readonly createdAt: string;
  readonly model: FileDigest;
  readonly recipe: FileDigest;
  readonly output: FileDigest;
  readonly environment: Readonly<Record<string, string>>;
  readonly steps: readonly StepReport[];
  readonly before: ModelReport;
  readonly after: ModelReport;
  readonly fidelity: Fidelity;
  readonly measured: Measured;
  readonly layers: readonly LayerReport[];
  /** How the numbers came about: `exact`, `modelled` or `measured`, by where they stand in the report. */
  readonly kinds?: Readonly<Record<string, NumberKind>>;
  /** What was checked of the result. */
  readonly checks?: ResultChecks;
  /** The recipe's budget; absent where it names none. */
  readonly budget?: readonly BudgetReport[];
  /** Of each target, before and after. */
  readonly rooflines?: readonly TargetRoofline[];
}

export type NumberKind = 'exact' | 'modelled' | 'measured';

export interface ResultChecks {
  /** ONNX Runtime loads the result; null where it does not load the original either, or is not there. */
  readonly loads: boolean | null;
  /** How often each operator stands in the graph that ONNX Runtime executes; empty where it did not load. */
  readonly kernels: Readonly<Record<string, number>>;
  /** Layers that a step quantised and that run in floating point all the same. */
  readonly unfused: readonly { readonly node: string; readonly kernel: string }[];
}

export interface BudgetReport {
  readonly what: 'latency' | 'drop';
  /** Of a latency: the target. */
  readonly target?: string;
  /** In ms, or as a share of the metric. */
  readonly limit: number;
  /** Null where it is not known, which breaks the budget. */
  readonly actual: number | null;
  readonly kind: NumberKind;
  readonly kept: boolean;
}

export interface FileDigest {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface StepReport {
  readonly pass: string;
  readonly title: string;
  readonly sites: number;
  readonly skipped: readonly { readonly node: string; readonly reason: string }[];
  readonly seconds: number;
  /** Latency by target just before and just after this step. */
  readonly latencyMs: Readonly<Record<string, Change>>;
  /** The data that its ranges and statistics come from: a file, or made-up inputs; absent where it needs none. */
  readonly calibration?: string;
  /** Version of the operator set before and after, where the step had to raise it. */
  readonly operatorSet?: Change;
  /** What the recipe's guard found; absent without one. */
  readonly guard?: GuardReport;
  /** It broke what has to hold after a step, and was left out; the layer is wrong already where it is changed alone. */
  readonly rolledBack?: { readonly reason: string; readonly node?: string };
}

/** Whether a step gains what the recipe's guard asks of it. */
export interface GuardReport {
  /** The share of the latency that the step takes off, below zero where it gets slower; null where it is not known. */
  readonly gain: number | null;
  readonly minGain: number;
  readonly kind: NumberKind;
  /** The id of the target, or `this machine`. */
  readonly on: string;
  readonly pays: boolean;
  /** The step was left out because it does not pay. */
  readonly dropped: boolean;
}

export interface ModelReport {
  readonly fileBytes: number;
  readonly macs: number | null;
  readonly parameters: number;
  readonly weightBytes: number;
  /** Some layer could not be counted, or a size is free and counted as 1: at least this many MACs. */
  readonly partial?: boolean;
  readonly targets: readonly {
    readonly id: string;
    readonly title: string;
    readonly basis: string;
    readonly latencyMs: number;
    readonly energyMj: number | null;
    readonly partial: boolean;
  }[];
}

export interface Fidelity {
  /** Where the inputs of the comparison came from: a data set, or generated. */
  readonly data: string;
  readonly samples: number;
  readonly outputs: readonly {
    readonly name: string;
    readonly sqnrDb: number | null;
    readonly cosine: number | null;
    readonly maxAbs: number | null;
  }[];
  readonly metric?: {
    readonly id: string;
    readonly before: number;
    readonly after: number;
    readonly samples: number;
  };
  /** Relative loss of the metric, positive when worse. */
  readonly drop?: number;
  /** Why nothing could be compared. */
  readonly unavailable?: string;
}

export interface Measured {
  readonly beforeMs: number | null;
  readonly afterMs: number | null;
  /** Processor, threads, batch, runs: what the numbers hold for. */
  readonly conditions: string;
  /** Said aloud when the result is no faster here. */
  readonly verdict: string;
  readonly unavailable?: string;
}

export interface LayerReport {
  readonly name: string;
  readonly op: string;
  readonly macs: Change;
  readonly weightBytes: Change;
  /** By target. */
  readonly latencyMs: Readonly<Record<string, Change>>;
}

// ---- who answers what

/** Method → [parameters, answer]. Sent by the extension to the language server as `whittle/<method>`. */
export interface ServerRequests {
  passes: [null, readonly PassInfo[]];
  targets: [null, readonly TargetInfo[]];
  templates: [null, readonly TemplateInfo[]];
  /** Binds a document to a model while its text names none: an untitled recipe. */
  bind: [{ readonly document: string; readonly model: string }, null];
  design: [DesignRequest, Design];
  node: [NodeRequest, NodeDetails];
  roofline: [RooflineRequest, Roofline];
  tensor: [TensorRequest, TensorStatistics];
  places: [PlacesRequest, Places];
  gain: [GainRequest, Gain];
  edit: [EditRequest, readonly TextChange[]];
  /** Recipes beside a model whose `model:` is that model. */
  recipesFor: [{ readonly model: string }, readonly string[]];
  /** Where applying a recipe would write. */
  outputFor: [
    { readonly recipe: string; readonly model?: string },
    { readonly output: string; readonly exists: boolean },
  ];
  /** Which of these data sets suit a recipe's model, and whether it lacks one. */
  dataFor: [DataRequest, DataOffer];
  apply: [ApplyRequest, Applied];
  sensitivity: [SensitivityRequest, StepSensitivity];
  activations: [ActivationsRequest, NodeActivations];
  /** Fits a profile of a device to measurements, or measures this machine. */
  calibrate: [CalibrateRequest, Calibrated];
  cancel: [{ readonly token: string }, null];
  /** The model as readable text. */
  onnxText: [{ readonly model: string }, string];
  /** The line of a node in that text. */
  onnxTextLine: [{ readonly model: string; readonly node: string }, number];
  /** The target for inlay hints and whatever names none. */
  setTarget: [{ readonly target: string }, null];
}

/** Notifications from the server to the extension. */
export interface ServerEvents {
  progress: Progress;
  /** A plan finished or a file changed: designs of this document are stale. */
  changed: { readonly document: string };
}

/** What the webview may ask the extension. Requests about the document need no name for it. */
export interface HostRequests {
  /** First call of a webview: what it shows. */
  ready: [{ readonly protocol: number }, Session];
  passes: [null, readonly PassInfo[]];
  targets: [null, readonly TargetInfo[]];
  design: [Omit<DesignRequest, 'document'>, Design];
  node: [Omit<NodeRequest, 'document'>, NodeDetails];
  roofline: [Omit<RooflineRequest, 'document'>, Roofline];
  tensor: [Omit<TensorRequest, 'document'>, TensorStatistics];
  places: [Omit<PlacesRequest, 'document'>, Places];
  gain: [Omit<GainRequest, 'document'>, Gain];
  /** Changes the recipe's text; in the viewer, continues in the designer first. */
  edit: [RecipeEdit, null];
  undo: [null, null];
  redo: [null, null];
  /** Asks the user which samples the recipe should use. */
  chooseData: [{ readonly use: DataUse }, null];
  apply: [null, null];
  cancel: [null, null];
  /** Measures what a step does to one layer at a time; `analysed` tells the result to every view of the document. */
  sensitivity: [Pick<SensitivityRequest, 'step' | 'byMetric'>, null];
  cancelSensitivity: [null, null];
  /** Null where the user was asked for samples and named none, or cancelled. */
  activations: [Omit<ActivationsRequest, 'document' | 'token'>, NodeActivations | null];
  cancelActivations: [null, null];
  setTarget: [{ readonly target: string }, null];
  /** Opens something beside: the recipe as text, the model as ONNX text at a node, the folder of the output. */
  open: [
    (
      | { readonly what: 'recipe' }
      | { readonly what: 'onnxText'; readonly node?: string }
      | { readonly what: 'designer'; readonly view: ViewMemory }
      | { readonly what: 'output' }
    ),
    null,
  ];
  report: [null, Report];
  /** Whether keys go to this view. */
  keyboard: [{ readonly here: boolean }, null];
  /** Kept for the next time this document is opened. */
  remember: [ViewMemory, null];
}

/** Bumped when a webview of another build would misunderstand. */
export const PROTOCOL_VERSION = 1;

export interface Session {
  readonly view: 'designer' | 'viewer' | 'report';
  readonly title: string;
  readonly target: string;
  readonly memory: ViewMemory | null;
  /** The last sensitivity that was measured for this document. */
  readonly sensitivity?: StepSensitivity;
  /** Localised strings that differ from English. */
  readonly strings: Readonly<Record<string, string>>;
}

export interface ViewMemory {
  readonly open: readonly string[] | null;
  readonly viewport: { readonly x: number; readonly y: number; readonly zoom: number } | null;
  readonly selected: readonly string[];
  readonly metric: Metric;
  readonly folded: readonly string[];
  /** The roofline chart is open. */
  readonly roofline?: boolean;
}

/** Designer actions that people can bind keys to; contributed as `whittle.designer.<action>`. */
export const DESIGNER_ACTIONS = [
  'find',
  'fit',
  'addPass',
  'pickTarget',
  'pickMetric',
  'why',
  'roofline',
  'openBlock',
  'closeBlock',
  'moveStepUp',
  'moveStepDown',
  'toggleStep',
  'removeStep',
  'sensitivity',
  'excludeLayer',
  'activations',
] as const;
export type DesignerAction = (typeof DESIGNER_ACTIONS)[number];

/** What the extension tells the webview. */
export interface HostEvents {
  /** The document, its model or a plan changed: ask for the design again. */
  changed: null;
  target: { readonly target: string };
  action: { readonly action: DesignerAction };
  backend: { readonly state: 'restarting' | 'ready' };
  progress: Progress | null;
  /** How far a sensitivity is; null when it has ended. */
  analysing: Progress | null;
  analysed: StepSensitivity;
  /** How far a capture of activations is; null when it has ended. */
  capturing: Progress | null;
}

// ---- the wire of the webview

export type HostMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly message: string }
  | { readonly kind: 'event'; readonly name: keyof HostEvents; readonly payload: unknown };

export type WebviewMessage =
  | {
      readonly kind: 'request';
      readonly id: number;
      readonly method: keyof HostRequests;
      readonly params: unknown;
    }
  | { readonly kind: 'abandon'; readonly id: number };
