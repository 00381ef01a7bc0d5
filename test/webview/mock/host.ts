/** Plays the extension: answers the webview's requests from a model in memory. */
import type {
  Design,
  HostEvents,
  HostRequests,
  NodeActivations,
  NodeDetails,
  Places,
  Progress,
  RecipeEdit,
  RecipeSummary,
  Session,
  TargetConfidence,
  TensorStatistics,
  WebviewMessage,
} from '../../../language/protocol';
import { activationsOf } from './activations';
import { PASSES, TARGETS, type Device } from './catalogue';
import {
  choose,
  costOf,
  deviceOf,
  energyOf,
  macsOf,
  msOf,
  refusalOf,
  termsOf,
  totalMs,
  weightBytesOf,
  work,
  type Facts,
  type Step,
  type Worked,
} from './engine';
import { layersOf, type Layer, type Model } from './models';
import { reportOf } from './report';
import { rooflineOf } from './roofline';
import { placesOf, sensitivityOf } from './sensitivity';
import { viewOf } from './view';

interface Recipe {
  targets: string[];
  steps: Step[];
  bound: Record<string, number>;
  data: RecipeSummary['data'];
}

export interface MockOptions {
  readonly model: Model;
  readonly session: Session;
  readonly steps: readonly Step[];
  /** Leaves the model's symbols free until they are bound. */
  readonly free: boolean;
  /** Fails to open with this message. */
  failing: string | null;
  /** Refuses edits with this message. */
  refusing: string | null;
  readonly delayMs: number;
  /** The report compares on made-up inputs. */
  readonly madeUp: boolean;
  /** A sensitivity tells of its progress at most so often. */
  readonly ticks: number;
  readonly problems: Design['problems'];
}

type Answers = {
  [M in keyof HostRequests]: (
    params: HostRequests[M][0],
  ) => HostRequests[M][1] | Promise<HostRequests[M][1]>;
};

export class MockHost {
  /** Every request, for tests to look at. */
  readonly log: { method: keyof HostRequests; params: unknown }[] = [];
  readonly #model: Model;
  readonly #layers: readonly Layer[];
  #recipe: Recipe;
  #past: string[] = [];
  #future: string[] = [];
  #target: string;
  #measuring: { cancelled: boolean } | null = null;
  #capturing: { cancelled: boolean } | null = null;
  #applying: { cancelled: boolean } | null = null;
  readonly #abandoned = new Set<number>();

  constructor(readonly options: MockOptions) {
    this.#model = options.model;
    this.#layers = layersOf(options.model.parts);
    this.#target = options.session.target;
    this.#recipe = {
      targets: ['fpga.zcu102-dpu', 'mobile.pixel3-cpu', 'reram.isaac'],
      steps: options.steps.map((step) => structuredClone(step)),
      bound: {},
      data: { calibration: null, evaluation: null },
    };
  }

  receive(message: WebviewMessage): void {
    if (message.kind === 'abandon') {
      this.#abandoned.add(message.id);
      return;
    }
    const { id, method, params } = message;
    this.log.push({ method, params });
    setTimeout(() => void this.#answer(id, method, params), this.options.delayMs);
  }

  send<E extends keyof HostEvents>(name: E, payload: HostEvents[E]): void {
    post({ kind: 'event', name, payload });
  }

  async #answer(id: number, method: keyof HostRequests, params: unknown): Promise<void> {
    if (this.#abandoned.delete(id)) return;
    try {
      const answer = this.#answers[method] as (params: unknown) => unknown;
      const result = await answer(params);
      if (!this.#abandoned.delete(id)) post({ kind: 'answer', id, result });
    } catch (error) {
      post({ kind: 'failure', id, message: (error as Error).message });
    }
  }

  readonly #answers: Answers = {
    ready: () => this.options.session,
    passes: () => PASSES,
    targets: () => TARGETS,
    design: ({ open, target, draft, effects }) => {
      if (this.options.failing) throw new Error(this.options.failing);
      const design = this.#design(open ?? [], target, draft);
      if (!effects) return design;
      const { steps } = this.#recipe;
      return { ...design, effects: placesOf(effects, steps, this.#layers, design.view) };
    },
    node: ({ node, target }) => this.#node(node, target),
    roofline: ({ target }) =>
      rooflineOf(this.#layers, work(this.#model, this.#recipe.steps, target), target),
    tensor: ({ tensor }) => statistics(tensor),
    places: ({ open, pass }) => this.#places(open ?? [], pass),
    gain: ({ pass, at, target }) => {
      const steps = this.#recipe.steps;
      const added = [...steps, newStep(pass, at)];
      const [before, after] = [work(this.#model, steps, target), work(this.#model, added, target)];
      const sum = (worked: Worked) =>
        this.#layers.reduce(
          (total, layer) => total + macsOf(layer, worked.after.get(layer.id)!),
          0,
        );
      return {
        latencyMs: {
          before: totalMs(this.#layers, before.after, target),
          after: totalMs(this.#layers, after.after, target),
        },
        macs: { before: sum(before), after: sum(after) },
        error: after.steps.at(-1)?.error ?? null,
      };
    },
    edit: (edit) => {
      if (this.options.refusing) throw new Error(this.options.refusing);
      this.#past.push(JSON.stringify(this.#recipe));
      this.#future = [];
      this.#edit(edit);
      this.send('changed', null);
      return null;
    },
    undo: () => this.#travel(this.#past, this.#future),
    redo: () => this.#travel(this.#future, this.#past),
    chooseData: ({ use }) => {
      this.#edit({ kind: 'data', use, dataset: './shapes.dataset.yaml' });
      this.send('changed', null);
      return null;
    },
    apply: () => this.#apply(),
    cancel: () => {
      if (this.#applying) this.#applying.cancelled = true;
      return null;
    },
    sensitivity: ({ step, byMetric }) => this.#measure(step, byMetric),
    cancelSensitivity: () => {
      if (this.#measuring) this.#measuring.cancelled = true;
      return null;
    },
    activations: ({ node }) => this.#capture(node),
    cancelActivations: () => {
      if (this.#capturing) this.#capturing.cancelled = true;
      return null;
    },
    setTarget: ({ target }) => {
      this.#target = target;
      return null;
    },
    open: () => null,
    report: () =>
      reportOf(
        this.#model,
        work(this.#model, this.#recipe.steps, this.#target),
        this.#recipe.steps,
        this.#recipe.targets,
        this.options.madeUp,
      ),
    keyboard: () => null,
    remember: () => null,
  };

  #travel(from: string[], to: string[]): null {
    const state = from.pop();
    if (state === undefined) return null;
    to.push(JSON.stringify(this.#recipe));
    this.#recipe = JSON.parse(state) as Recipe;
    this.send('changed', null);
    return null;
  }

  #edit(edit: RecipeEdit): void {
    const { steps } = this.#recipe;
    switch (edit.kind) {
      case 'add':
        steps.push({
          ...newStep(edit.pass, edit.at),
          ...(edit.parameters && { parameters: edit.parameters }),
        });
        break;
      case 'set':
        steps[edit.step]!.parameters[edit.parameter] = edit.value;
        break;
      case 'retarget':
        steps[edit.step]!.at = [...edit.at];
        break;
      case 'except': {
        const step = steps[edit.step]!;
        step.except = step.except.filter((node) => node !== edit.node);
        if (edit.excepted) step.except.push(edit.node);
        break;
      }
      case 'part': {
        const step = steps[edit.step]!;
        step.except.push(edit.node);
        const parameters = { ...step.parameters, [edit.parameter]: edit.value };
        steps.splice(edit.step + 1, 0, { ...step, at: [edit.node], except: [], parameters });
        break;
      }
      case 'bits': {
        const { at: _, except, parameters, ...rest } = steps[edit.step]!;
        steps[edit.step]!.except = except.filter((node) => !edit.nodes.includes(node));
        if (edit.bits === 'own' || edit.bits === parameters.bits) break;
        steps[edit.step]!.except.push(...edit.nodes);
        if (edit.bits === null) break;
        const parted = { ...parameters, bits: edit.bits };
        const fresh = { ...rest, at: [...edit.nodes], except: [], parameters: parted };
        steps.splice(edit.step + 1, 0, fresh);
        break;
      }
      case 'enable':
        steps[edit.step]!.enabled = edit.enabled;
        break;
      case 'move':
        steps.splice(edit.to, 0, ...steps.splice(edit.step, 1));
        break;
      case 'remove':
        steps.splice(edit.step, 1);
        break;
      case 'targets':
        this.#recipe.targets = [...edit.targets];
        break;
      case 'data': {
        const file = typeof edit.dataset === 'string' ? edit.dataset : null;
        const data = { file, generated: file === null, samples: null };
        this.#recipe.data = { ...this.#recipe.data, [edit.use]: data };
        break;
      }
      case 'bind':
        this.#recipe.bound[edit.symbol] = edit.size;
        break;
    }
  }

  #design(open: readonly string[], target: string, draft: DesignDraft): Design {
    const steps = structuredClone(this.#recipe.steps);
    if (draft) steps[draft.step]!.parameters[draft.parameter] = draft.value;
    const worked = work(this.#model, steps, target);
    const free = this.options.free
      ? this.#model.free.filter((symbol) => !(symbol in this.#recipe.bound))
      : [];
    const view = viewOf(this.#model, worked, open, target);
    const whole = costOf(this.#layers, this.#layers, worked, target);
    const unknown = { before: null, after: null };
    const shown = [...new Set([...this.#recipe.targets, target])];
    const estimated = worked.steps.some((step) => step.latencyMs.estimated);
    const bytes = (state: ReadonlyMap<string, Facts>) =>
      this.#layers.reduce((sum, layer) => sum + weightBytesOf(layer, state.get(layer.id)!), 0);
    const isViewer = this.options.session.view === 'viewer';
    return {
      model: {
        name: this.#model.name,
        path: `models/${this.#model.name}`,
        producer: 'pytorch 2.6.0',
        opset: 17,
        ir: 9,
        nodes: this.#layers.length,
        inputs: [{ type: 'float32', ...this.#model.input }],
        outputs: [
          { type: 'float32', name: this.#model.output.name, shape: this.#model.output.shape },
        ],
        free: free.map((symbol) => ({ symbol, inputs: [this.#model.input.name] })),
        assumed: this.options.free
          ? {}
          : Object.fromEntries(this.#model.free.map((symbol) => [symbol, 1])),
        unknown: [],
      },
      recipe: isViewer
        ? null
        : {
            name: this.#model.name.replace('.onnx', '.whittle.yaml'),
            data: this.#recipe.data,
            calibrated:
              worked.steps.find((step) => step.enabled && step.family === 'quantize')?.title ??
              null,
            targets: this.#recipe.targets,
            steps: worked.steps,
            budget: { target: 'fpga.zcu102-dpu', maxMs: 10 },
          },
      view:
        free.length === 0
          ? view
          : {
              ...view,
              nodes: view.nodes.map((node) => ({
                ...node,
                cost: {
                  ...node.cost,
                  macs: unknown,
                  latencyMs: unknown,
                  energyMj: unknown,
                  activationBytes: unknown,
                  share: {
                    ...node.cost.share,
                    latency: null,
                    energy: null,
                    macs: null,
                    activations: null,
                  },
                  unknown: `${free[0]!} is free`,
                },
              })),
            },
      totals: shown.map((id) => {
        const cost = costOf(this.#layers, this.#layers, worked, id);
        const device = deviceOf(id);
        return {
          target: id,
          title: device.title,
          latencyMs: free.length > 0 ? unknown : { ...cost.latencyMs, estimated },
          energyMj: free.length > 0 ? unknown : cost.energyMj,
          peakMemoryBytes: {
            before: bytes(worked.before) * 0.3 + 605_000,
            after: bytes(worked.after) * 0.3 + 605_000,
          },
          bound: cost.bound,
          basis: device.basis,
          confidence: confidenceOn(device, free.length > 0 ? null : cost.latencyMs.after),
          pipeline: device.kind === 'reram' ? { latencyMs: 1.9, intervalMs: 1.4 } : null,
          resources: device.kind === 'fpga' ? { dsp: 1926, lut: 49_812, bram: 771 } : null,
          warnings:
            device.kind === 'reram'
              ? ['Softmax runs beside the crossbars and is not modelled']
              : [],
        };
      }),
      counts: {
        macs: free.length > 0 ? unknown : whole.macs,
        parameters: whole.parameters,
        weightBytes: { before: bytes(worked.before), after: bytes(worked.after) },
      },
      open,
      problems: this.options.problems,
    };
  }

  /** The layers that a visible node stands for. */
  #layersAt(id: string): readonly Layer[] {
    const [first, last] = id.split('…');
    const within = (layer: Layer, block: string) =>
      layer.id === block || layer.id.startsWith(`${block}/`);
    if (last === undefined) return this.#layers.filter((layer) => within(layer, first!));
    const from = this.#layers.findIndex((layer) => within(layer, first!));
    const to = this.#layers.findLastIndex((layer) => within(layer, last));
    return this.#layers.slice(from, to + 1);
  }

  #places(open: readonly string[], pass: string): Places {
    const worked = work(this.#model, this.#recipe.steps, this.#target);
    const { nodes } = viewOf(this.#model, worked, open, this.#target);
    return Object.fromEntries(
      nodes.map(({ id }) => {
        const layers = this.#layersAt(id);
        const sites = layers.filter((layer) => refusalOf(pass, layer) === null).length;
        const reason =
          sites > 0 ? null : ((layers[0] && refusalOf(pass, layers[0])) ?? 'not a layer');
        return [id, { sites, reason }];
      }),
    );
  }

  #node(id: string, target: string): NodeDetails {
    const layers = this.#layersAt(id);
    const [layer] = layers;
    if (!layer) throw new Error(`there is no node ${id}`);
    const worked = work(this.#model, this.#recipe.steps, target);
    const single = layers.length === 1 && layer.id === id;
    const facts = worked.after.get(layer.id)!;
    const shape = (of: Layer) => of.shape.replaceAll('T', String(worked.after.get(of.id)!.tokens));
    const readers = this.#layers.filter(({ from }) => from.includes(layers.at(-1)!.id));
    const sum = (of: (layer: Layer, facts: Facts) => number, state: ReadonlyMap<string, Facts>) =>
      layers.reduce((total, one) => total + of(one, state.get(one.id)!), 0);
    return {
      id,
      title: single ? layer.title : id.split('/').slice(1).join('.'),
      op: single ? layer.op : null,
      scope: layer.id.split('/').slice(1, -1).join(' / '),
      layers: layers.length,
      attributes:
        single && layer.op === 'Conv'
          ? [
              { name: 'kernel_shape', value: '[3, 3]' },
              { name: 'pads', value: '[1, 1, 1, 1]' },
              { name: 'strides', value: '[1, 1]' },
            ]
          : [],
      inputs: layer.from.map((from) => {
        const source = this.#layers.find((other) => other.id === from);
        return {
          name: from,
          type: 'float32',
          shape: source ? shape(source) : this.#model.input.shape,
          constant: false,
          from,
        };
      }),
      outputs: [
        {
          name: `${layers.at(-1)!.id}_output`,
          type: 'float32',
          shape: shape(layers.at(-1)!),
          to: readers.map((reader) => reader.id),
        },
      ],
      tensors:
        single && layer.parameters > 0
          ? [
              {
                name: `${layer.id}.weight`,
                type: facts.bits === 8 ? 'int8' : 'float32',
                shape: '192 × 768',
                bytes: weightBytesOf(layer, facts),
              },
            ]
          : [],
      cost: costOf(layers, this.#layers, worked, target),
      weightBytes: {
        before: sum(weightBytesOf, worked.before),
        after: sum(weightBytesOf, worked.after),
      },
      why: this.#recipe.targets.map((of) => {
        const terms = layers.map((one) => termsOf(one, worked.after.get(one.id)!, of));
        const add = (name: 'compute' | 'bandwidth' | 'overhead') =>
          terms.reduce((total, term) => total + term[name], 0);
        const device = deviceOf(of);
        const energy = layers.map((one) => energyOf(one, worked.after.get(one.id)!, of));
        const ms = layers.reduce(
          (total, one) => total + msOf(one, worked.after.get(one.id)!, of),
          0,
        );
        return {
          target: of,
          title: device.title,
          latencyMs: ms,
          energyMj: energy.some((one) => one === null)
            ? null
            : (energy as number[]).reduce((a, b) => a + b, 0),
          bound: add('bandwidth') > add('compute') ? 'weight bandwidth' : 'compute',
          utilisation: add('compute') / ms,
          terms: [
            { name: 'compute', ms: add('compute') },
            { name: 'weight bandwidth', ms: add('bandwidth') },
            { name: 'per layer', ms: add('overhead') },
          ],
          mapping: `${facts.tokens} rows fill ${Math.ceil(facts.tokens / 8)} of ${Math.ceil(197 / 8)} tiles of 8; ${Math.round((facts.tokens / 8 / Math.ceil(facts.tokens / 8)) * 100)} % of the array`,
          unsupported: null,
          basis: device.basis,
        };
      }),
    };
  }

  async #measure(step: number, byMetric: boolean): Promise<null> {
    const run = { cancelled: false };
    this.#measuring = run;
    const { steps, data } = this.#recipe;
    const { chosen } = choose(steps[step]!, this.#layers);
    for (const [at, { id }] of chosen.slice(0, this.options.ticks).entries()) {
      const fraction = at / chosen.length;
      this.send('analysing', { token: 'run', phase: 'sensitivity', detail: id, fraction });
      await new Promise((resolve) => setTimeout(resolve, 60));
      if (run.cancelled) break;
    }
    const madeUp = (byMetric ? data.evaluation : data.calibration)?.generated ?? true;
    if (!run.cancelled)
      this.send('analysed', sensitivityOf(steps, step, this.#layers, { byMetric, madeUp }));
    this.send('analysing', null);
    return null;
  }

  async #capture(node: string): Promise<NodeActivations | null> {
    const run = { cancelled: false };
    this.#capturing = run;
    for (let done = 0; done <= 8 && !run.cancelled; done++) {
      const detail = 'running deit-tiny.onnx';
      this.send('capturing', { token: 'run', phase: 'activations', detail, fraction: done / 8 });
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    this.send('capturing', null);
    return run.cancelled ? null : activationsOf(node, this.#recipe.data.calibration);
  }

  async #apply(): Promise<null> {
    const run = { cancelled: false };
    this.#applying = run;
    const phases = [
      ...this.#recipe.steps.filter((step) => step.enabled).map((step) => step.pass),
      'write',
      'check',
      'evaluate',
    ];
    const ticks = phases.length * 10;
    for (let tick = 0; tick <= ticks; tick++) {
      if (run.cancelled) {
        this.send('progress', null);
        throw new Error('cancelled');
      }
      const layer = this.#layers[Math.floor((tick / (ticks + 1)) * this.#layers.length)]!;
      const progress: Progress = {
        token: 'run',
        phase: phases[Math.min(phases.length - 1, Math.floor(tick / 10))]!,
        detail: layer.id,
        fraction: tick / ticks,
      };
      this.send('progress', progress);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    this.send('progress', null);
    this.#applying = null;
    return null;
  }
}

function confidenceOn({ kind }: Device, ms: number | null): TargetConfidence {
  if (kind === 'reram' || ms === null)
    return {
      lowMs: null,
      highMs: null,
      level: 'not validated',
      note: 'analytical, not validated: no measurements are public',
    };
  return { lowMs: ms * 0.92, highMs: ms * 1.1, level: 'validated', note: 'validated' };
}

type DesignDraft = HostRequests['design'][0]['draft'];

function newStep(pass: string, at: readonly string[]): Step {
  const { properties } = PASSES.find(({ id }) => id === pass)!.parameters;
  const defaults = Object.entries(properties).filter(
    ([, { default: value }]) => value !== undefined,
  );
  return {
    pass,
    at: at.length === 0 ? undefined : [...at],
    except: [],
    enabled: true,
    parameters: Object.fromEntries(defaults.map(([name, { default: value }]) => [name, value])),
  };
}

function statistics(name: string): TensorStatistics {
  const bins = Array.from({ length: 32 }, (_, bin) =>
    Math.round(9000 * Math.exp(-(((bin - 15.5) / 6) ** 2))),
  );
  return {
    name,
    elements: 147_456,
    min: -0.412,
    max: 0.437,
    mean: 0.0013,
    standardDeviation: 0.0821,
    zeros: 0.002,
    histogram: bins,
  };
}

function post(message: unknown): void {
  window.postMessage(message, '*');
}
