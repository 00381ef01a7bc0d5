/**
 * Products in the bodies of Scan and Loop that no later step depends on, such as y = Ch behind the state h of a selective
 * scan. They are taken out of the loop: what they read leaves it stacked over the steps, one batched product makes the results
 * of all steps, and what follows up to the loop's output is done to all at once. Then they are products like others, which are
 * calibrated, quantised and counted in the same way. Only what a product reads is rounded, never the state. What leaves the
 * loop for them leaves it as codes (`giveCodes`): a byte for each element of the state at each step, which is the price.
 *
 * A product whose result the next step starts from stays where it is, in float: rounding would add up over the steps.
 */
import type { InnerFacts } from '../../../graph/facts';
import {
  intAttribute,
  intsAttribute,
  subgraphs,
  type Graph,
  type Node,
} from '../../../graph/graph';
import { graphOfBody } from '../../../graph/shapes/bodies';
import type { AttributeValue, GraphRecord, ValueInfo } from '../../../onnx/model';
import { elementCount, int64Tensor, tensorNumbers } from '../../../onnx/tensor';
import type { Product } from '../../layers';
import { macsInside } from '../../macs';
import type { Site, Situation } from '../../pass';
import { canHoldWeights, isQuantised } from '../../weights';
import { overAllSteps, type AllSteps, type OneStep } from './allSteps';
import { factsOf } from './preparation';

/** The products of a loop that can be taken out of it. */
export interface BodyProducts extends Product {
  readonly macs: number;
  /** Why others cannot. */
  readonly left: string | undefined;
}

/** @returns why none can, or undefined where nobody would expect one */
export function bodyProducts(situation: Situation, node: Node): BodyProducts | string | undefined {
  if (!subgraphs(node).some(holdsLayers)) return undefined;
  const loop = loopAt(situation, node);
  if (typeof loop === 'string') return loop;
  const { taken, reasons } = sorted(loop);
  const [first, ...more] = reasons;
  const left = more.length > 0 ? `${first} (and ${more.length} more)` : first;
  if (taken.length === 0) return left;
  const macs = macsInside(loop.inside, taken);
  return { node: node.id, kind: 'product', macs, left };
}

const holdsLayers = ({ nodes }: GraphRecord): boolean =>
  nodes.some((node) => canHoldWeights(node) || subgraphs(node).some(holdsLayers));

// ---- what there is

/** A Scan or Loop with its body. */
interface Loop {
  readonly graph: Graph;
  readonly node: Node;
  readonly record: GraphRecord;
  readonly body: Graph;
  readonly inside: InnerFacts;
  /** Outputs of the body, from the first on, that the next step starts from. */
  readonly carried: number;
  /** How many of them are no outputs of the node. */
  readonly hidden: number;
  /** Of each output of the body that is stacked: where the axis of the steps comes to be. */
  readonly axes: readonly number[];
  /** Whether outputs are stacked from the last step to the first. */
  readonly reversed: boolean;
}

/** The loop at a node, or why its steps cannot be told apart. */
function loopAt({ graph, facts }: Situation, node: Node): Loop | string {
  if ((node.op !== 'Scan' && node.op !== 'Loop') || node.domain !== '')
    return `its layers are in the body of ${node.op}; they are taken out of Scan and Loop alone`;
  const record = subgraphs(node)[0]!;
  const [inside] = facts.inner(node);
  if (!inside) return 'what its body computes is not known';
  const body = graphOfBody(graph.model, record);
  if (body.inputs.length !== record.inputs.length) return 'inputs of its body have defaults';
  const common = { graph, node, record, body, inside };
  const { carried, hidden } = statesOf(node, record);
  const stacked = record.outputs.slice(carried);
  if (node.op === 'Loop')
    return { ...common, carried, hidden, axes: stacked.map(() => 0), reversed: false };
  if (graph.opset < 9) return 'Scan of operator set 8 has batches of its own';
  const axes = stacked.map(({ name }, i) => {
    const axis = intsAttribute(node, 'scan_output_axes')?.[i] ?? 0;
    return axis < 0 ? axis + (inside.facts.value(name).shape?.length ?? NaN) + 1 : axis;
  });
  const directions = stacked.map((_, i) => intsAttribute(node, 'scan_output_directions')?.[i] ?? 0);
  if (new Set(directions).size > 1) return 'its outputs are stacked in both directions';
  return { ...common, carried, hidden, axes, reversed: directions[0] === 1 };
}

/** The first output of a Loop's body is whether it goes on, in the place of the count among the inputs. */
const statesOf = (node: Node, { inputs }: GraphRecord): Pick<Loop, 'carried' | 'hidden'> =>
  node.op === 'Loop'
    ? { carried: inputs.length - 1, hidden: 1 }
    : { carried: node.inputs.length - intAttribute(node, 'num_scan_inputs', 0), hidden: 0 };

/** Products of a body that can be taken out, and why the others cannot. */
function sorted(loop: Loop): { taken: readonly Node[]; reasons: readonly string[] } {
  const taken: Node[] = [];
  const reasons: string[] = [];
  for (const node of loop.body.order) {
    if (!canHoldWeights(node) && !subgraphs(node).some(holdsLayers)) continue;
    const reason = whyNot(loop, node);
    if (reason === undefined) taken.push(node);
    else reasons.push(`in its body, ${node.id} ${reason}`);
  }
  return { taken, reasons };
}

function whyNot(loop: Loop, product: Node): string | undefined {
  const { body, inside, carried, node, record, hidden } = loop;
  const behind = following(body, [product]);
  const reached = record.outputs.flatMap(({ name }, i) =>
    behind.some(({ outputs }) => outputs.includes(name)) ? [i] : [],
  );
  if (reached.some((i) => i < carried))
    return 'makes what the next step starts from, where rounding would add up';
  if (!reached.some((i) => node.outputs[i - hidden])) return 'makes nothing that is read';
  if (product.inputs.some((input) => isQuantised(body, input))) return 'is quantised already';
  if (product.inputs.some((input) => !isFloat(loop, input)))
    return 'does not compute in float32 or float16';
  for (const other of behind) {
    const found = overAllSteps(oneStep(loop, other));
    if (typeof found !== 'string') continue;
    return other === product ? found : `comes before ${other.id}, which ${found}`;
  }
  return reached.some((i) => !inside.facts.value(record.outputs[i]!.name).shape)
    ? 'makes an output whose rank is not known'
    : undefined;
}

/** Nodes, and all that follows from them in a body, in its order. */
function following(body: Graph, nodes: readonly Node[]): readonly Node[] {
  const found = new Set<Node>();
  const add = (node: Node) => {
    if (found.has(node)) return;
    found.add(node);
    for (const output of node.outputs) body.consumers(output).forEach(add);
  };
  nodes.forEach(add);
  return body.order.filter((node) => found.has(node));
}

function isFloat({ inside }: Loop, value: string): boolean {
  const { type } = inside.facts.value(value);
  return type.kind === 'tensor' && /^float(32|16)$/.test(type.elementType);
}

function oneStep(loop: Loop, node: Node): OneStep {
  return {
    node,
    rank: (value) => loop.inside.facts.value(value).shape?.length,
    varies: (value) => varies(loop, value),
    numbers: (value) => numbersOf(loop, value),
  };
}

/** Constants, and values of the graph around a body, are the same at every step. */
const varies = ({ body }: Loop, value: string): boolean =>
  body.isDefined(value) && !body.constant(value);

function numbersOf({ graph, body }: Loop, value: string): readonly number[] | undefined {
  const tensor = body.isDefined(value) ? body.constant(value) : graph.constant(value);
  return tensor && elementCount(tensor.dims) <= MOST_AXES
    ? Array.from(tensorNumbers(tensor))
    : undefined;
}

const MOST_AXES = 16;

// ---- taking out

/**
 * Takes products out of the loops among the sites, and puts them in the place of the loops.
 * @param float sites that stay as they are
 */
export function takeOut<S extends Situation & { readonly sites: readonly Site[] }>(
  situation: S,
  float: ReadonlySet<string>,
): S {
  const { graph } = situation;
  const products = new Map<string, readonly string[]>();
  for (const { node: id } of situation.sites) {
    const node = graph.node(id)!;
    if (float.has(id) || !subgraphs(node).some(holdsLayers)) continue;
    const loop = loopAt(situation, node);
    if (typeof loop !== 'string') products.set(id, new Exit(loop).take());
  }
  if (products.size === 0) return situation;
  const sites = situation.sites.flatMap((site) =>
    (products.get(site.node) ?? [site.node]).map((node) => ({ ...site, node })),
  );
  return { ...situation, sites, facts: factsOf(graph, situation.facts) };
}

/** What leaves one loop. Names of values count up, so that they are the same whichever other loops are changed. */
class Exit {
  readonly #products: ReadonlySet<Node>;
  readonly #behind: readonly Node[];
  /** Values of all steps, by the value of one. */
  readonly #stacked = new Map<string, string>();
  #made = 0;

  constructor(private readonly loop: Loop) {
    const { taken } = sorted(loop);
    this.#products = new Set(taken);
    this.#behind = following(loop.body, taken);
  }

  /** @returns the products as nodes of the graph */
  take(): string[] {
    const { loop } = this;
    const made = new Set(this.#behind.flatMap(({ outputs }) => outputs));
    const needed = new Set(
      this.#behind.flatMap(({ inputs }) =>
        inputs.filter((input) => input !== '' && varies(loop, input) && !made.has(input)),
      ),
    );
    this.#editLoop(made, [...needed]);
    const products = this.#behind.flatMap((node) => {
      const { id } = this.#write(node);
      return this.#products.has(node) ? [id] : [];
    });
    this.#writeOutputs(made);
    return products;
  }

  /** The body gives what is needed in place of what is made of it. */
  #editLoop(made: ReadonlySet<string>, needed: readonly string[]): void {
    const { graph, node, record, carried, hidden, reversed, inside } = this.loop;
    const body = this.loop.body.fork();
    for (const { id } of this.#behind) body.remove(id);
    body.removeUnused(this.#behind.flatMap(({ inputs }) => inputs));
    const given = needed.map((value): ValueInfo => {
      const name = body.freshValue(`${this.#stack(value)}/step`);
      body.insert({ op: 'Identity', inputs: [value], outputs: [name] }, this.#behind[0]!);
      const { type, shape } = inside.facts.value(value);
      return {
        name,
        type: type.kind === 'tensor' ? { ...type, shape: shape!.map(() => null) } : type,
      };
    });
    const isKept = ({ name }: ValueInfo) => !made.has(name);
    const kept = record.outputs.flatMap((output, i) => (isKept(output) ? [i] : []));
    body.setOutputs([...kept.map((i) => record.outputs[i]!), ...given]);
    body.dropValueInfos(isKept);
    const scanned = (name: string, added: number) => {
      const values = intsAttribute(node, name);
      if (!values) return [];
      const value = [
        ...values.filter((_, k) => kept.includes(k + carried)),
        ...given.map(() => added),
      ];
      return [[name, { name, value: { kind: 'ints', value } }] as const];
    };
    graph.replace(node.id, {
      outputs: [
        ...kept.filter((i) => i >= hidden).map((i) => node.outputs[i - hidden] ?? ''),
        ...needed.map((value) => this.#stacked.get(value)!),
      ],
      attributes: new Map([
        ...node.attributes,
        ['body', { name: 'body', value: { kind: 'graph', value: body.toRecord() } }],
        ...scanned('scan_output_axes', 0),
        ...scanned('scan_output_directions', Number(reversed)),
      ]),
    });
  }

  #write(node: Node): Node {
    const { loop } = this;
    const { attributes, numbers } = overAllSteps(oneStep(loop, node)) as AllSteps;
    const inputs = node.inputs.map((input, i) =>
      numbers && i === 1 ? this.#constant(numbers) : this.#outside(input),
    );
    return loop.graph.insert(
      {
        op: node.op,
        name: node.name || `${loop.node.id}/${node.op}`,
        inputs,
        outputs: node.outputs.map((output) => this.#stack(output)),
        attributes: { ...attributesOf(node), ...attributes },
      },
      loop.node,
    );
  }

  /** Outputs of the loop, from results whose first axis is that of the steps. */
  #writeOutputs(made: ReadonlySet<string>): void {
    const { graph, node, record, carried, hidden, axes, inside } = this.loop;
    record.outputs.forEach(({ name }, i) => {
      const output = node.outputs[i - hidden];
      if (!output || !made.has(name)) return;
      const axis = axes[i - carried]!;
      const inputs = [this.#stacked.get(name)!];
      if (axis === 0) {
        graph.insert({ op: 'Identity', inputs, outputs: [output] }, node);
        return;
      }
      const rank = inside.facts.value(name).shape!.length;
      const others = Array.from({ length: rank }, (_, k) => k + 1);
      const perm = { kind: 'ints', value: others.toSpliced(axis, 0, 0) } as const;
      graph.insert({ op: 'Transpose', inputs, outputs: [output], attributes: { perm } }, node);
    });
  }

  #outside(value: string): string {
    const known = this.#stacked.get(value);
    if (known !== undefined) return known;
    const tensor = this.loop.body.constant(value);
    if (!tensor) return value;
    const name = this.#stack(value);
    const { span: _, ...contents } = tensor;
    this.loop.graph.setInitializer({ ...contents, name });
    return name;
  }

  #constant(numbers: readonly number[]): string {
    const name = this.#fresh();
    this.loop.graph.setInitializer(int64Tensor(name, numbers, [numbers.length]));
    return name;
  }

  #stack(value: string): string {
    const name = this.#fresh();
    this.#stacked.set(value, name);
    return name;
  }

  #fresh(): string {
    return this.loop.graph.freshValue(`${this.loop.node.id}/stacked_${this.#made++}`);
  }
}

const attributesOf = ({ attributes }: Node): Readonly<Record<string, AttributeValue>> =>
  Object.fromEntries([...attributes].map(([name, { value }]) => [name, value]));

// ---- codes

/**
 * Where all that reads what a loop stacks is a QuantizeLinear, be it behind a product with constants or a conversion, the body
 * does that step by step, so that the loop stacks bytes.
 */
export function giveCodes(graph: Graph, id: string): void {
  const node = graph.node(id)!;
  const [record] = subgraphs(node);
  if (!record) return;
  const { carried, hidden } = statesOf(node, record);
  const body = graphOfBody(graph.model, record).fork();
  const outputs = [...node.outputs];
  const given = [...record.outputs];
  for (let i = carried; i < given.length; i++) {
    const { name, type } = given[i]!;
    const step = body.producer(name);
    const isFirst = (intsAttribute(node, 'scan_output_axes')?.[i - carried] ?? 0) === 0;
    if (!step || !isFirst || type.kind !== 'tensor' || !type.shape) continue;
    const path = pathToCodes(graph, outputs[i - hidden]!, type.shape.length);
    if (!path) continue;
    let value = name;
    for (const moved of path) {
      graph.remove(moved.id);
      const inputs = [value, ...moved.inputs.slice(1)];
      value = body.freshValue(`${moved.outputs[0]}/step`);
      const { op, domain } = moved;
      body.insert({ op, domain, inputs, outputs: [value], attributes: attributesOf(moved) }, step);
    }
    const quantiser = path.at(-1)!;
    const elementType = graph.initializer(quantiser.inputs[2] ?? '')?.elementType ?? 'uint8';
    outputs[i - hidden] = quantiser.outputs[0]!;
    given[i] = { name: value, type: { ...type, elementType } };
  }
  if (given.every((output, i) => output === record.outputs[i])) return;
  body.setOutputs(given);
  graph.replace(id, { outputs });
  graph.setAttribute(id, 'body', { kind: 'graph', value: body.toRecord() });
}

/**
 * The nodes that alone read a value, one after the other, up to its codes, where they do the same to each step.
 * @param rank of one step
 */
function pathToCodes(graph: Graph, value: string, rank: number): Node[] | undefined {
  const reader = graph.isOutput(value) ? undefined : graph.onlyConsumer(value);
  if (reader?.inputs[0] !== value) return undefined;
  const isLast = reader.op === 'QuantizeLinear';
  if (!isLast && reader.op !== 'Mul' && reader.op !== 'Cast') return undefined;
  const most = isLast ? 0 : rank;
  const axesOf = (input: string) => graph.initializer(input)?.dims.length ?? Infinity;
  if (reader.inputs.slice(1).some((input) => axesOf(input) > most)) return undefined;
  const rest = isLast ? [] : pathToCodes(graph, reader.outputs[0]!, rank);
  return rest && [reader, ...rest];
}
