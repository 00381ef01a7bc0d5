/**
 * Shape, type and constant inference. Nodes are taken in order, each by the rule of its operator; what a rule cannot do is
 * listed as a problem and leaves the outputs to what the file declares. Inference never throws for a bad model.
 */
import { describeError } from '../../errors';
import type { FunctionRecord, GraphRecord, Shape, ValueInfo } from '../../onnx/model';
import type { Facts, InnerFacts, ValueFacts } from '../facts';
import { captures, type Graph, type Node } from '../graph';
import { bodyOfFunction, functionOf, graphOfBody } from './bodies';
import { Call, type Result, type Run } from './call';
import { bindType, reconcile, type DeclaredBy } from './declared';
import { Impossible } from './dims';
import { ruleFor } from './registry';
import {
  mayHaveElements,
  ofTensor,
  ofType,
  sameFacts,
  sameTypeAndShape,
  tensorOf,
  UNKNOWN,
} from './values';

interface Problem {
  readonly node: string;
  readonly reason: string;
}

const NO_PROBLEMS: readonly Problem[] = [];

const NO_INNER: readonly InnerFacts[] = [];

/** What was found at a node, and from what: all that must be the same for it to hold again. */
interface Outcome {
  readonly node: Node;
  readonly inputs: readonly (ValueFacts | undefined)[];
  readonly captured: readonly ValueFacts[];
  readonly declared: readonly (ValueInfo | undefined)[];
  readonly outputs: readonly ValueFacts[];
  readonly inner: readonly InnerFacts[];
  readonly problems: readonly Problem[];
  /** Whether the node can do what it is asked to, as far as can be told. */
  readonly possible: boolean;
}

/** Nodes inside nodes that one inference follows; only a hostile model needs more. */
const MAX_INNER_NODES = 100_000;
/** Reasons told of one body; a thousand say no more. */
const MAX_REASONS = 20;
const MAX_DEPTH = 48;

/**
 * Infers what can be known of every value. `inputs` are the shapes of the graph's inputs (see bindShapes). With the facts
 * of another fork of the same graph as `previous`, nodes whose inputs are the same keep their facts, as the same objects.
 */
export function inferShapes(
  graph: Graph,
  options: { inputs: ReadonlyMap<string, Shape>; previous?: Facts },
): Facts {
  const earlier = options.previous instanceof GraphFacts ? options.previous : undefined;
  const facts = new GraphFacts(graph, {
    sizes: boundSizes(graph, options.inputs),
    opsets: graph.opsets,
    outer: undefined,
    symbols: true,
    budget: { nodes: MAX_INNER_NODES },
    depth: 0,
    callers: new Set(),
  });
  const given = graph.inputs.map((info) => inputFacts(info, options.inputs.get(info.name)));
  facts.infer(
    graph.inputs.map((info, i) => [info.name, given[i]]),
    earlier,
  );
  return facts;
}

function inputFacts({ type }: ValueInfo, shape: Shape | undefined): ValueFacts {
  if (!shape || (type.kind !== 'tensor' && type.kind !== 'unknown')) return ofType(type);
  try {
    return tensorOf(type.kind === 'tensor' ? type.elementType : 'unknown', shape);
  } catch {
    return ofType(type);
  }
}

/** Sizes of the symbols that inputs declare, where they are given as numbers. */
function boundSizes(graph: Graph, inputs: ReadonlyMap<string, Shape>): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, type } of graph.inputs) {
    const declared = type.kind === 'tensor' ? type.shape : undefined;
    inputs.get(name)?.forEach((dim, axis) => {
      const symbol = declared?.[axis];
      if (typeof symbol === 'string' && typeof dim === 'number') sizes.set(symbol, dim);
    });
  }
  return sizes;
}

interface Surroundings {
  readonly sizes: ReadonlyMap<string, number>;
  readonly opsets: ReadonlyMap<string, number>;
  /** The facts of the graph around a body. */
  readonly outer: GraphFacts | undefined;
  /** Whether symbols mean what they mean in the main graph; bodies name theirs by themselves. */
  readonly symbols: boolean;
  readonly budget: { nodes: number };
  readonly depth: number;
  /** The functions that this is run for. */
  readonly callers: ReadonlySet<FunctionRecord>;
}

class GraphFacts implements Facts {
  readonly problems: Problem[] = [];
  readonly #graph: Graph;
  readonly #around: Surroundings;
  readonly #declaredBy: DeclaredBy;
  readonly #declaredOutputs: ReadonlyMap<string, ValueInfo>;
  readonly #values = new Map<string, ValueFacts>();
  readonly #outcomes = new Map<string, Outcome>();
  /** Whether every node can do what it is asked to. */
  #possible = true;
  /** Optional inputs of a function that a call leaves out. */
  readonly #absent = new Set<string>();

  constructor(graph: Graph, around: Surroundings) {
    this.#graph = graph;
    this.#around = around;
    this.#declaredBy = { sizes: around.sizes, symbols: around.symbols };
    this.#declaredOutputs = new Map(graph.outputs.map((info) => [info.name, info]));
  }

  value(name: string): ValueFacts {
    return this.#values.get(name) ?? this.#lookUp(name) ?? this.#declaredFacts(name) ?? UNKNOWN;
  }

  inner(node: Node): readonly InnerFacts[] {
    return this.outcomeOf(node)?.inner ?? NO_INNER;
  }

  private recall(name: string): ValueFacts | undefined {
    return this.#values.get(name);
  }
  private outcomeOf(node: Node): Outcome | undefined {
    return this.#outcomes.get(node.id);
  }

  infer(
    inputs: readonly (readonly [string, ValueFacts | undefined])[],
    earlier: GraphFacts | undefined,
  ): void {
    for (const [name, facts] of inputs) {
      if (facts) this.#values.set(name, steady(facts, earlier?.recall(name)));
      else this.#absent.add(name);
    }
    for (const [name, tensor] of this.#graph.initializers) {
      const before = earlier?.recall(name);
      // Of a tensor too large to be asked for its elements, only type and shape count.
      const known = ofTensor(tensor);
      const same = before && !mayHaveElements(tensor) && sameTypeAndShape(known, before);
      this.#values.set(name, same ? before : known);
    }
    const reusable = earlier && this.#isLike(earlier) ? earlier : undefined;
    for (const node of this.#graph.order) {
      const outcome = this.#visit(node, reusable, earlier);
      this.#outcomes.set(node.id, outcome);
      for (const problem of outcome.problems) this.problems.push(problem);
      this.#possible &&= outcome.possible;
    }
  }

  /** Whether what was declared and versioned then is the same now. */
  #isLike(earlier: GraphFacts): boolean {
    return (
      sameEntries(this.#around.opsets, earlier.#around.opsets) &&
      sameEntries(this.#around.sizes, earlier.#around.sizes)
    );
  }

  #visit(node: Node, reusable: GraphFacts | undefined, earlier: GraphFacts | undefined): Outcome {
    const before = earlier?.outcomeOf(node);
    const outcome =
      reusable && before && this.#holds(before, node)
        ? sameNode(before, node)
        : this.#conclude(node, before, earlier);
    for (let i = 0; i < node.outputs.length; i++) {
      const name = node.outputs[i]!;
      if (name !== '' && !this.#values.has(name)) this.#values.set(name, outcome.outputs[i]!);
    }
    return outcome;
  }

  /** Whether all that an outcome rests on is as it was. */
  #holds(before: Outcome, node: Node): boolean {
    if (!sameWork(before.node, node)) return false;
    for (let i = 0; i < node.inputs.length; i++)
      if (before.inputs[i] !== this.#inputFacts(node.inputs[i]!)) return false;
    for (let i = 0; i < node.outputs.length; i++)
      if (before.declared[i] !== this.#declaration(node.outputs[i]!)) return false;
    const captured = captures(node);
    return (
      captured.length === before.captured.length &&
      captured.every((name, i) => this.value(name) === before.captured[i])
    );
  }

  /** Undefined: the input is left out. */
  #inputFacts(name: string): ValueFacts | undefined {
    return name === '' || this.#absent.has(name) ? undefined : this.value(name);
  }

  #isMissing(name: string): boolean {
    return (
      name !== '' &&
      !this.#absent.has(name) &&
      !this.#values.has(name) &&
      !this.#lookUp(name) &&
      !this.#declaration(name)
    );
  }

  #conclude(node: Node, before: Outcome | undefined, earlier: GraphFacts | undefined): Outcome {
    const inputs = node.inputs.map((name) => this.#inputFacts(name));
    const captured = captures(node).map((name) => this.value(name));
    const declared = node.outputs.map((name) => this.#declaration(name));
    const reasons: string[] = [];
    node.inputs.forEach((name, i) => {
      if (inputs[i] === UNKNOWN && this.#isMissing(name)) reasons.push(this.#whyMissing(name));
    });
    const { outputs: inferred, inner, possible } = this.#apply(node, inputs, before, reasons);
    const outputs = node.outputs.map((name, i) => {
      const facts = this.#declared(name, inferred[i] ?? UNKNOWN, declared[i], reasons);
      if (name !== '' && this.#values.has(name)) reasons.push(`${name} is given more than once`);
      return steady(facts, earlier?.recall(name));
    });
    const problems =
      reasons.length === 0 ? NO_PROBLEMS : reasons.map((reason) => ({ node: node.id, reason }));
    return { node, inputs, captured, declared, outputs, inner, problems, possible };
  }

  /** What was inferred of an output, completed by what the file declares of it. */
  #declared(
    name: string,
    inferred: ValueFacts,
    declaration: ValueInfo | undefined,
    reasons: string[],
  ): ValueFacts {
    if (!declaration) return inferred;
    const { facts, contradiction } = reconcile(inferred, declaration.type, this.#declaredBy);
    if (contradiction) reasons.push(`the file declares ${name} ${contradiction}`);
    return facts;
  }

  /** What the rule of the operator says; problems of the node and in its bodies are added to `reasons`. */
  #apply(
    node: Node,
    inputs: readonly (ValueFacts | undefined)[],
    before: Outcome | undefined,
    reasons: string[],
  ): {
    outputs: readonly (ValueFacts | undefined)[];
    inner: readonly InnerFacts[];
    possible: boolean;
  } {
    const call = new Call(
      node,
      this.#around.opsets.get(node.domain) ?? Infinity,
      inputs,
      (attribute, body, values) =>
        this.#run(
          body,
          values,
          this,
          before?.inner.find((inner) => inner.attribute === attribute),
        ),
    );
    let outputs: readonly (ValueFacts | undefined)[] = [];
    try {
      const result = this.#resultOf(call);
      outputs = 'type' in result ? [result] : result;
    } catch (error) {
      if (error instanceof Impossible) call.impossible = true;
      reasons.push(describeError(error));
    }
    for (const { attribute, facts, times } of call.inner)
      for (const { node: where, reason } of facts.problems.slice(0, MAX_REASONS))
        if (times !== 0) reasons.push(`in ${attribute}, ${where}: ${reason}`);
    return { outputs, inner: call.inner, possible: !call.impossible };
  }

  #resultOf(call: Call): Result {
    const { node } = call;
    const called = functionOf(this.#graph.model, node);
    if (called) {
      if (this.#around.callers.has(called))
        throw new Impossible(`the function ${called.name} calls itself`);
      const inputs = called.inputs.map((_, i) => call.inputs[i]);
      const run = this.#run(bodyOfFunction(called, node), inputs, undefined, undefined, {
        opsets: new Map([...this.#around.opsets, ...called.opsets]),
        callers: new Set([...this.#around.callers, called]),
      });
      call.keep(called.name, run, 1);
      return run.outputs;
    }
    const rule = ruleFor(node);
    if (rule) return rule(call);
    const name = node.domain ? `${node.domain}.${node.op}` : node.op;
    throw new Error(`nothing is known of the operator ${name}`);
  }

  /** Infers a body for one run; `outer` is the graph that it captures from. */
  #run(
    body: GraphRecord,
    inputs: readonly (ValueFacts | undefined)[],
    outer: GraphFacts | undefined,
    before: InnerFacts | undefined,
    around: Partial<Surroundings> = {},
  ): Run {
    const graph = graphOfBody(this.#graph.model, body);
    const { budget, depth } = this.#around;
    budget.nodes -= graph.size + 1;
    if (budget.nodes < 0 || depth >= MAX_DEPTH)
      throw new Impossible('its bodies are nested too deep, or repeat too often, to be followed');
    const facts = new GraphFacts(graph, {
      ...this.#around,
      ...around,
      outer,
      symbols: false,
      depth: depth + 1,
    });
    facts.infer(
      body.inputs.map(({ name, type }, i) => {
        const given = inputs[i];
        return [
          name,
          given?.type.kind === 'unknown' ? ofType(bindType(type, facts.#declaredBy)) : given,
        ];
      }),
      before?.facts instanceof GraphFacts ? before.facts : undefined,
    );
    return {
      nodes: graph.order,
      facts,
      possible: facts.#possible,
      outputs: body.outputs.map((output) => facts.value(output.name)),
    };
  }

  /** A value of the graph around, where this is a body and has none of that name. */
  #lookUp(name: string): ValueFacts | undefined {
    return this.#graph.producer(name) ? undefined : this.#around.outer?.value(name);
  }

  #declaration(name: string): ValueInfo | undefined {
    return this.#graph.valueInfo(name) ?? this.#declaredOutputs.get(name);
  }

  #declaredFacts(name: string): ValueFacts | undefined {
    const declaration = this.#declaration(name);
    return declaration && ofType(bindType(declaration.type, this.#declaredBy));
  }

  #whyMissing(name: string): string {
    return this.#graph.producer(name)
      ? `it waits for ${name}, which waits for it`
      : `nothing gives its input ${name}`;
  }
}

/** The earlier object where it says the same, so that comparing objects tells what changed. */
const steady = (facts: ValueFacts, before: ValueFacts | undefined): ValueFacts =>
  before && sameFacts(facts, before) ? before : facts;

function sameEntries(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  if (a === b) return true;
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

const sameNode = (outcome: Outcome, node: Node): Outcome =>
  outcome.node === node ? outcome : { ...outcome, node };

/** Two versions of a node that differ at most in what inference never looks at. */
const sameWork = (a: Node, b: Node): boolean =>
  a === b ||
  (a.op === b.op &&
    a.domain === b.domain &&
    a.overload === b.overload &&
    a.inputs === b.inputs &&
    a.outputs === b.outputs &&
    a.attributes === b.attributes);
