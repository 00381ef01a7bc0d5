/** The result of costing a model on a target: the second of the two steps. */

export type Bound =
  | 'compute'
  | 'weight bandwidth'
  | 'activation bandwidth'
  | 'overhead'
  | 'transfer'
  /** Part of the kernel of another layer. */
  | 'fused'
  /** Nothing happens at run time. */
  | 'free'
  /** Other layers of a pipeline take longer at the same time. */
  | 'hidden'
  | 'unknown';

/** One of the terms that make a layer's number, for people who ask why. */
export interface Term {
  readonly name: string;
  readonly ms: number;
}

export interface LayerCost {
  /** The node's id. */
  readonly node: string;
  readonly latencyMs: number | null;
  /** Null where the profile has no energy data. */
  readonly energyMj: number | null;
  readonly bound: Bound;
  /** Share of the peak arithmetic rate, 0 to 1; null without arithmetic. */
  readonly utilisation: number | null;
  readonly terms: readonly Term[];
  /** A sentence on how the work maps to the hardware: tiles, folds, crossbars. */
  readonly mapping?: string | undefined;
  /** The layer whose kernel this one is part of. */
  readonly fusedInto?: string | undefined;
  /** Where it runs, when a step assigned it to another target. */
  readonly assigned?: string | undefined;
  /** Rests on a decision that is not taken yet. */
  readonly estimated: boolean;
  readonly unknown?: string | undefined;
  /** Why the target cannot run it itself, where it runs on the processor beside it. */
  readonly unsupported?: string | undefined;
  /** asic and dataflow designs: of the array or engine; with SRAM words as SCALE-Sim counts them on systolic arrays. */
  readonly cycles?: number | undefined;
  readonly sramAccesses?:
    | {
        readonly ifmap: number;
        readonly filter: number;
        readonly ofmap: number;
      }
    | undefined;
  /** fpga: of its engine in a dataflow design. */
  readonly resources?: Resources | undefined;
  /** reram */
  readonly crossbars?: number | undefined;
  readonly tiles?: number | undefined;
  /** Energy by component; adds up to `energyMj`. */
  readonly energyPartsMj?: Readonly<Record<string, number>> | undefined;
}

/** Of an FPGA. Block RAM in units of 36 Kib, Ultra RAM of 288 Kib. */
export interface Resources {
  readonly dsp: number;
  readonly lut: number;
  readonly bram: number;
  readonly uram?: number;
}

/** How far an estimate can be trusted, from what the profile was fitted to and what this network holds. */
export interface Confidence {
  /** Tenth and ninetieth percentile of predicted/true − 1, widened for unseen layers; null where none is known. */
  readonly lowError: number | null;
  readonly highError: number | null;
  /** Share of the latency in kinds of layers that the calibration did not see, 0 to 1. */
  readonly unseenShare: number;
  readonly unseen: readonly string[];
  /** For people: `validated`, or why not. */
  readonly note: string;
}

export interface TargetEstimate {
  readonly target: string;
  readonly layers: readonly LayerCost[];
  /** Transfers between targets of a heterogeneous assignment; included in the total. */
  readonly transfers: {
    readonly count: number;
    readonly bytes: number;
    readonly latencyMs: number;
  };
  readonly confidence: Confidence;
  readonly total: {
    readonly latencyMs: number;
    /** Part of the latency that belongs to no layer: what one run of any model takes, and the starts of unknown layers. */
    readonly fixedMs: number;
    readonly energyMj: number | null;
    /** Weights plus the largest sum of activations alive at once. */
    readonly peakMemoryBytes: number | null;
    /** Some layer is unknown: the totals say at least. */
    readonly partial: boolean;
    readonly estimated: boolean;
  };
  /** fpga: what the design takes of the device. */
  readonly resources?: Resources;
  /** Dataflow designs and reram: all layers at work at once. */
  readonly pipeline?: {
    /** One input through the empty pipeline. */
    readonly latencyMs: number;
    /** Until the next may follow, once it is full. */
    readonly intervalMs: number;
    readonly perSecond: number;
    /** The layer that decides it; null where memory, what layers share or another processor does. */
    readonly slowest: string | null;
  };
  /** reram: of the tiles in use, by component, where the profile has areas. */
  readonly areaMm2?: Readonly<Record<string, number>>;
  /** Energy of all layers by component, where the profile's model tells them apart. */
  readonly energyPartsMj?: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}
