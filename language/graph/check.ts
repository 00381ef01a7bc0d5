/** What every model that is written must fulfil, and a model that is read may not. */
import type { GraphRecord, NodeRecord, Tensor, ValueInfo } from '../onnx/model';
import { elementBits } from '../onnx/schema';
import { tensorByteLength } from '../onnx/tensor';
import { arityProblems } from './check/arity';
import { attributeProblems } from './check/attributes';
import { subgraphs, type Graph } from './graph';
import { uniqueIds } from './names';

/** Complaints about the structure, each naming the node or value. */
export function checkGraph(graph: Graph): string[] {
  const checker = new Checker(graph);
  checker.check(graph.toRecord(), () => false);
  const { cycle } = graph;
  if (cycle) checker.problems.add(`${cycle.id} depends on its own result`);
  return [...checker.problems];
}

type Visible = (value: string) => boolean;

class Checker {
  readonly problems = new Set<string>();
  readonly #domains: ReadonlySet<string>;

  constructor(graph: Graph) {
    const functions = graph.model.functions.map(({ domain }) => domain);
    this.#domains = new Set([...graph.opsets.keys(), ...functions]);
  }

  /** A graph or a body; `outer` tells what is made around it before the node that it belongs to. */
  check(body: GraphRecord, outer: Visible): void {
    const report = (problem: string) => this.problems.add(problem);
    const made = new Set<string>();
    const make = (name: string, by: string) => {
      if (name === '') return;
      if (made.has(name)) report(`${name} is made twice, the second time by ${by}`);
      else if (outer(name))
        report(`${name}, made by ${by}, hides the value of that name around it`);
      made.add(name);
    };
    for (const { name } of body.inputs) make(name, 'an input');
    const defaults = new Set(made);
    const initialized = new Set<string>();
    for (const { name } of body.initializers) {
      if (!defaults.has(name) || initialized.has(name)) make(name, 'an initializer');
      initialized.add(name);
    }
    const everMade = new Set([...made, ...body.nodes.flatMap(({ outputs }) => outputs)]);
    const ids = uniqueIds(body.nodes);
    body.nodes.forEach((node, i) => {
      const id = 'id' in node ? (node.id as string) : ids[i]!;
      for (const input of new Set(node.inputs)) {
        if (input === '' || made.has(input) || outer(input)) continue;
        const when = everMade.has(input) ? 'before it is made' : 'which nothing makes';
        report(`${id} reads ${input}, ${when}`);
      }
      for (const problem of this.#nodeProblems(node)) report(`${id}: ${problem}`);
      for (const inner of subgraphs(node))
        this.check(inner, (value) => made.has(value) || outer(value));
      for (const output of node.outputs) make(output, id);
    });
    const given = new Set<string>();
    for (const { name } of body.outputs) {
      if (!made.has(name) && !outer(name)) report(`the output ${name} is made by nothing`);
      if (given.has(name)) report(`the output ${name} is given twice`);
      given.add(name);
    }
    for (const problem of tensorProblems(body)) report(problem);
  }

  #nodeProblems(node: NodeRecord): string[] {
    const problems = [...arityProblems(node), ...attributeProblems(node)];
    if (!this.#domains.has(node.domain))
      problems.push(
        `it is of the domain ${node.domain || 'ai.onnx'}, which the model does not import`,
      );
    return problems;
  }
}

function tensorProblems({ initializers, inputs, valueInfos }: GraphRecord): string[] {
  const declared = new Map([...valueInfos, ...inputs].map((info) => [info.name, info]));
  return initializers.flatMap((tensor) => [
    ...lengthProblem(tensor),
    ...declarationProblem(tensor, declared.get(tensor.name)),
  ]);
}

function lengthProblem(tensor: Tensor): string[] {
  const { name, data, elementType, dims } = tensor;
  if (elementBits(elementType) === 0 || (data.kind !== 'raw' && data.kind !== 'memory')) return [];
  const has = data.kind === 'raw' ? data.span.end - data.span.start : data.bytes.byteLength;
  const needs = tensorByteLength(tensor);
  if (has === needs) return [];
  return [`${name} of ${elementType} ${dims.join('×')} needs ${needs} bytes and has ${has}`];
}

function declarationProblem(
  { name, elementType, dims }: Tensor,
  declaration: ValueInfo | undefined,
): string[] {
  const type = declaration?.type;
  if (type?.kind !== 'tensor' && type?.kind !== 'sparse') return [];
  if (type.elementType !== elementType && type.elementType !== 'unknown')
    return [`${name} is declared as ${type.elementType}, and it is ${elementType}`];
  const { shape } = type;
  const fits =
    !shape ||
    (shape.length === dims.length &&
      shape.every((dim, axis) => typeof dim !== 'number' || dim === dims[axis]));
  return fits ? [] : [`${name} is declared as ${shape.join('×')}, and it is ${dims.join('×')}`];
}
