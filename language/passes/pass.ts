/**
 * The contract of a pass. A pass finds its sites, plans (reads weights and data, decides) and rewrites (pure, given the
 * decisions). Preview and apply call the same rewrite. What a pass needs of cost models and runtimes reaches it through
 * `Evidence`, so that passes import neither.
 */
import type { z } from 'zod';
import type { Facts } from '../graph/facts';
import type { Graph } from '../graph/graph';
import type { Polarity } from '../graph/placement';
import type { Tensor } from '../onnx/model';
import type { Numbers } from '../onnx/tensor';
import type { Family, Paper } from '../protocol';

/** A place where a pass can work, known by the node it is anchored at. */
export interface Site {
  readonly node: string;
}

/** A node that a pass was asked to take and cannot. */
export interface Refusal {
  readonly node: string;
  readonly reason: string;
}

export interface Sites {
  readonly sites: readonly Site[];
  /** Nodes that look like sites and are not, with the reason. Nodes that nobody would expect are left out. */
  readonly refused: readonly Refusal[];
}

/** A site that a step selected, and by which entry of its `at` list. */
export interface SelectedSite extends Site {
  readonly entry: number;
}

/** The graph as it stands when the step's turn comes. */
export interface Situation {
  readonly graph: Graph;
  readonly facts: Facts;
}

export interface StepRequest<Parameters> extends Situation {
  readonly sites: readonly SelectedSite[];
  readonly parameters: Parameters;
  /**
   * What a target makes of the graph as it stands, for deciding; `rewrite` goes by decisions. Given wherever steps of a
   * recipe run.
   * @throws WhittleError for a target that cannot be found
   */
  readonly traits?: (target: string) => TargetTraits;
}

export interface TargetTraits {
  readonly id: string;
  /** Channels that it works on at once: sizes in between are rounded up. */
  readonly granularity: { readonly inputs: number; readonly outputs: number };
  /** Whether it runs an operator of the ONNX standard itself, as far as its kind decides that. */
  runs(op: string): boolean;
  /** Why it leaves a node to another processor; undefined where it runs it itself. */
  unsupported(node: string): string | undefined;
  /** What a graph takes by the target's cost model, in all and by node; nodes of unknown cost are left out. */
  latencies(situation: Situation): {
    readonly totalMs: number;
    readonly layersMs: ReadonlyMap<string, number>;
  };
  /** How fast values come from other targets, and how long until the first does. */
  readonly link: { readonly gbPerS: number; readonly fixedUs: number };
  /** Of targets that hold weights in crossbars. */
  readonly crossbars?: CrossbarTraits;
}

/** What there is to decide about crossbars. */
export interface CrossbarTraits {
  /** Tiles of a chip, and crossbars of a tile. */
  readonly tiles: number;
  readonly perTile: number;
  /** As the target has them where nobody says otherwise. */
  readonly cellBits: number;
  readonly polarity: Polarity;
  /** Whether layers can be there several times. */
  readonly copies: boolean;
  /** By node, the layers with constant weights: crossbars of one copy, and ns of each output position. */
  lay(way: {
    readonly polarity: Polarity;
    readonly cellBits: number;
  }): ReadonlyMap<
    string,
    { readonly crossbars: number; readonly positions: number; readonly intervalNs: number }
  >;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Statistics of a value over the calibration data, one entry per index of its last axis (axis 1 of an image). */
export interface ChannelMoments {
  /** Elements seen per channel. */
  readonly count: number;
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly mean: Float64Array;
  /** Mean of the squares. */
  readonly meanSquare: Float64Array;
}

/** XᵀX of a value seen as rows over its last axis, accumulated in float64. */
export interface Gram {
  /** Rows of X that went in. */
  readonly rows: number;
  /** Length of the last axis. */
  readonly size: number;
  /** `size` × `size`, row after row. */
  readonly data: Float64Array;
}

/** Elements of a value as they came, one entry per run, the batch first. */
export type Activations = readonly {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}[];

/**
 * What a plan may look at beside the graph. What is measured runs over the calibration data; `graph` is the graph as it
 * stands unless the plan hands over another, such as one in which the layers before have been changed already.
 */
export interface Evidence {
  /** The elements of a weight, as numbers. */
  numbers(tensor: Tensor): Numbers;
  /** Smallest and largest element of each value. */
  ranges(values: readonly string[], graph?: Graph): Promise<ReadonlyMap<string, Range>>;
  moments(values: readonly string[], graph?: Graph): Promise<ReadonlyMap<string, ChannelMoments>>;
  grams(values: readonly string[], graph?: Graph): Promise<ReadonlyMap<string, Gram>>;
  /** At most `samples` samples of each value. */
  activations(
    values: readonly string[],
    samples: number,
    graph?: Graph,
  ): Promise<ReadonlyMap<string, Activations>>;
  /**
   * How far the outputs of each candidate are from those of the graph as it stands: Σ(a − b)² / Σa² over all float
   * outputs and samples.
   * @param names what progress calls the candidates
   */
  deviations(candidates: readonly Graph[], names?: readonly string[]): Promise<readonly number[]>;
  /** Median time of a run on this machine in ms, measured in turns. */
  latencies(candidates: readonly Graph[]): Promise<readonly number[]>;
  /** Says which layer is at work. */
  progress(layer: string): void;
  readonly signal: AbortSignal;
}

export type EvidenceKind = 'weights' | 'calibration';

/**
 * `Parameters` is the parsed form of `parameters`; `Decisions` is plain JSON, small, and enough for `rewrite` to be
 * repeated without planning.
 */
export interface Pass<Parameters = unknown, Decisions = unknown> {
  /** `family.method`; the file is `passes/<family>/<method>.ts`. */
  readonly id: string;
  readonly title: string;
  readonly family: Family;
  /** One or two sentences for the library and the documentation. */
  readonly summary: string;
  /** The paper that the method follows. */
  readonly paper?: Paper;
  /** Form, recipe schema, completion and documentation are derived from this. */
  readonly parameters: z.ZodType<Parameters>;
  /** What `plan` reads; with nothing, planning is immediate and a preview is never estimated. */
  needs(parameters: Parameters): readonly EvidenceKind[];
  /** Every place where the pass could work, and why not elsewhere. */
  sites(situation: Situation): Sites;
  /**
   * The sites of a step without `at`; by default all of them. The position in the answer is the entry for parameters
   * given per site.
   */
  defaultSites?(sites: readonly Site[], parameters: Parameters): readonly SelectedSite[];
  plan(request: StepRequest<Parameters>, evidence: Evidence): Promise<Decisions>;
  /** Decisions to preview with until the plan is there; numbers that rest on them are marked estimated. */
  standIn(request: StepRequest<Parameters>): Decisions;
  /** Edits `graph` by the decisions; returns the sites that had to be left alone after all. Pure and deterministic. */
  rewrite(request: StepRequest<Parameters>, decisions: Decisions): readonly Refusal[];
}
