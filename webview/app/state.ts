import type {
  Design,
  DesignRequest,
  Gain,
  Metric,
  NodeActivations,
  NodeDetails,
  PassInfo,
  Places,
  Progress,
  Report,
  Roofline,
  Session,
  StepSensitivity,
  TargetInfo,
  TensorStatistics,
  ViewMemory,
  ViewNode,
} from '../../language/protocol';

export type Draft = NonNullable<DesignRequest['draft']>;

/** Something asked for: the old value stays while a new one is on its way. */
export interface Loaded<Value> {
  readonly value: Value | null;
  readonly error: string | null;
}

/** A pass under way from the library to the graph. */
export interface Drag {
  readonly pass: string;
  /** The node under the pointer, `canvas` beside all of them, null outside the graph. */
  readonly over: Spot | null;
  readonly places: Places | null;
}

export type Spot =
  { readonly on: 'node'; readonly id: string } | { readonly on: 'canvas'; readonly id: null };

/** What a pass would bring at a place; `gain` is null while it is being worked out. */
export interface Offer {
  readonly key: string;
  readonly gain: Gain | null;
}

/** At most one of these floats above the rest. */
export type Popup =
  | { readonly kind: 'passes'; readonly anchor: 'canvas' | 'library' }
  | { readonly kind: 'target' | 'metric' | 'addTarget' | 'analyseStep' }
  | {
      readonly kind: 'menu' | 'bits';
      readonly node: string;
      readonly x: number;
      readonly y: number;
    };

export type Applying =
  | { readonly state: 'no' }
  | {
      readonly state: 'running' | 'cancelling';
      readonly phases: readonly string[];
      readonly progress: Progress | null;
    }
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly message: string };

/** A sensitivity under way. */
export type Analysing =
  | { readonly state: 'no' }
  | {
      readonly state: 'running' | 'cancelling';
      readonly step: number | null;
      readonly progress: Progress | null;
    }
  | { readonly state: 'failed'; readonly step: number; readonly message: string };

/** A capture of activations under way. */
export type Capture =
  | { readonly state: 'no' }
  | {
      readonly state: 'running' | 'cancelling';
      readonly node: string;
      readonly progress: Progress | null;
    };

/** Where the keyboard should be once it is on screen. */
export type FocusWish =
  | { readonly on: 'parameter' | 'effects' | 'analysing' | 'roofline' | 'rooflineButton' }
  | { readonly on: 'node' | 'step'; readonly id: string };

export interface State {
  readonly session: Session | null;
  /** Why nothing can be shown at all. */
  readonly failure: string | null;
  readonly passes: readonly PassInfo[];
  readonly targets: readonly TargetInfo[];
  readonly report: Report | null;

  readonly design: Design | null;
  /** The latest design did not come: what is drawn is older. */
  readonly designError: string | null;
  readonly updating: boolean;
  readonly target: string;
  readonly metric: Metric;
  /** Ids of open blocks and stacks; null until somebody opens or closes one. */
  readonly open: readonly string[] | null;
  readonly draft: Draft | null;

  readonly selected: readonly string[];
  /** The node that the keyboard is at. */
  readonly current: string | null;
  /** Selected step of the recipe; its form takes the inspector. */
  readonly step: number | null;
  /** A step moved by hand, until the design that has it so arrives. */
  readonly moved: { readonly from: number; readonly to: number } | null;
  /** The node that must not move on screen when the next layout arrives. */
  readonly anchor: string | null;
  /** A node to bring into view as soon as it is drawn. */
  readonly revealing: string | null;
  readonly focus: FocusWish | null;

  readonly drag: Drag | null;
  readonly offer: Offer | null;
  readonly popup: Popup | null;
  readonly findOpen: boolean;
  /** Every node of the model, blocks opened; null until a search asks for them. */
  readonly everything: readonly ViewNode[] | null;
  /** Ids that the find box matches among the visible nodes, or null while it is empty. */
  readonly found: ReadonlySet<string> | null;

  readonly details: Readonly<Record<string, Loaded<NodeDetails>>>;
  readonly tensors: Readonly<Record<string, Loaded<TensorStatistics>>>;

  /** What was measured of nodes, on the model and data as they are. */
  readonly activations: Readonly<Record<string, Loaded<NodeActivations>>>;
  readonly capturing: Capture;

  readonly analysing: Analysing;
  /** What was measured last, stale or not. */
  readonly sensitivity: StepSensitivity | null;
  /** Nodes show what a step does to them, in place of what they cost. */
  readonly showsEffects: boolean;
  /** The inspector shows the table of sensitivities, in place of what is selected. */
  readonly effectsOpen: boolean;
  /** The layer of the table that the keyboard is at. */
  readonly effectRow: number;

  readonly rooflineOpen: boolean;
  /** What was answered last, null while nothing was. */
  readonly roofline: Loaded<Roofline> | null;
  /** As a table, in place of a chart. */
  readonly rooflineTable: boolean;
  /** The layer of the chart that the keyboard or the pointer is at; null: the dearest. */
  readonly rooflineAt: string | null;

  readonly folded: readonly string[];
  readonly viewport: ViewMemory['viewport'];
  readonly backend: 'restarting' | 'ready';
  readonly applying: Applying;
  /** A refused edit, until it is dismissed or the next edit. */
  readonly notice: string | null;
  /** Spoken by screen readers; the count makes a repeated sentence heard again. */
  readonly announcement: { readonly text: string; readonly count: number };
}

export const INITIAL: State = {
  session: null,
  failure: null,
  passes: [],
  targets: [],
  report: null,
  design: null,
  designError: null,
  updating: true,
  target: '',
  metric: 'latency',
  open: null,
  draft: null,
  selected: [],
  current: null,
  step: null,
  moved: null,
  anchor: null,
  revealing: null,
  focus: null,
  drag: null,
  offer: null,
  popup: null,
  findOpen: false,
  everything: null,
  found: null,
  details: {},
  tensors: {},
  activations: {},
  capturing: { state: 'no' },
  analysing: { state: 'no' },
  sensitivity: null,
  showsEffects: false,
  effectsOpen: false,
  effectRow: 0,
  rooflineOpen: false,
  roofline: null,
  rooflineTable: false,
  rooflineAt: null,
  folded: [],
  viewport: null,
  backend: 'ready',
  applying: { state: 'no' },
  notice: null,
  announcement: { text: '', count: 0 },
};
