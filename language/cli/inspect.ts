/** `whittle inspect`: what a model holds, layer by layer. */
import { setFlagsFromString } from 'node:v8';
import { counts } from '../cost/counts';
import { workloads } from '../cost/workloads';
import { blockPaths, blocksOf } from '../graph/blocks';
import { atLeast, bindModel, openModel } from '../recipe/opened';
import type { Situation } from '../passes/pass';
import type { Shape, ValueInfo, ValueType } from '../onnx/model';
import {
  mebibytes,
  print,
  readArguments,
  readShapes,
  SHAPE_OPTION,
  table,
  thousands,
  type Command,
} from './command';

/**
 * Of a function's running, in bytes of its code, before V8 compiles it for speed; nine times its default. Every node is
 * visited a few times only: on 10 000 of them, compiling so early takes more processor time than all the rest.
 */
const COMPILE_LATE = '--interrupt-budget=600000';

const inspect: Command = (argv, surroundings) => {
  setFlagsFromString(COMPILE_LATE);
  const { values: options, positionals } = readArguments(argv, ['MODEL'], {
    ...SHAPE_OPTION,
    values: { type: 'boolean', default: false },
  });
  const [file] = positionals as [string];
  const opened = openModel(file);
  const bound = bindModel(opened, readShapes(options.shape));
  const { graph, facts, assumed, free } = bound;
  const counted = atLeast(bound);
  const total = counts(counted.graph, counted.facts);
  const partial = total.partial || free.length > 0;
  const document = {
    model: file,
    opset: graph.opset,
    ir: opened.model.irVersion,
    producer: opened.model.producer,
    inputs: graph.inputs.map(port),
    outputs: graph.outputs.map(port),
    nodes: graph.size,
    parameters: total.parameters,
    macs: total.macs,
    flops: 2 * total.macs + total.ops,
    weightBytes: total.weightBytes,
    peakActivationBytes: total.peakActivationBytes,
    partial,
    assumed,
    free,
    layers: layersOf(counted),
    unknown: total.unknown,
    problems: facts.problems,
    ...(options.values && { values: valuesOf(bound) }),
  };
  print(surroundings, options, document, () => [
    `${file}: opset ${document.opset}, IR ${document.ir}${document.producer && `, by ${document.producer}`}`,
    ...document.inputs.map(({ name, type, shape }) => `  in   ${name}: ${type} ${dims(shape)}`),
    ...document.outputs.map(({ name, type, shape }) => `  out  ${name}: ${type} ${dims(shape)}`),
    `${thousands(total.parameters)} parameters in ${mebibytes(total.weightBytes)}, ${partial ? 'at least ' : ''}${thousands(total.macs)} MACs, ${graph.size} nodes`,
    ...Object.entries(assumed).map(([symbol, size]) => `taken for granted: ${symbol} = ${size}`),
    ...free.map(
      ({ symbol, inputs }) =>
        `free: ${symbol} of ${inputs.join(', ')}, counted as 1; bind it with --shape ${symbol}=SIZE`,
    ),
    ...total.unknown.map(({ node, op, reason }) => `unknown: ${node} (${op}): ${reason}`),
    '',
    ...table(
      [
        ['layer', 'operator', 'MACs', 'parameters'],
        ...document.layers
          .filter(({ macs, parameters }) => macs !== 0 || parameters > 0)
          .map(({ name, op, macs, parameters }) => [
            name,
            op,
            macs === null ? 'unknown' : thousands(macs),
            thousands(parameters),
          ]),
      ],
      [2, 3],
    ),
  ]);
  return Promise.resolve();
};
export default inspect;

export const operator = ({ op, domain }: { op: string; domain: string }): string =>
  domain ? `${domain}.${op}` : op;

function layersOf({ graph, facts }: Situation) {
  const work = workloads(graph, facts);
  const blockOf = blockPaths(blocksOf(graph, facts));
  return graph.order.map((node) => {
    const { macs, parameters, weightBytes, inputBytes, outputBytes } = work.of(node.id);
    return {
      name: node.id,
      op: operator(node),
      block: blockOf(node),
      inputs: node.inputs,
      outputs: node.outputs,
      parameters,
      macs,
      weightBytes,
      activationBytes:
        inputBytes === null || outputBytes === null ? null : inputBytes + outputBytes,
    };
  });
}

const port = ({ name, type }: ValueInfo) => ({ name, type: typeName(type), shape: shapeOf(type) });

const typeName = (type: ValueType): string =>
  type.kind === 'tensor' || type.kind === 'sparse' ? type.elementType : type.kind;
const shapeOf = (type: ValueType): Shape | null =>
  type.kind === 'tensor' ? (type.shape ?? null) : null;
const dims = (shape: Shape | null): string =>
  shape ? `[${shape.map((dim) => dim ?? '?').join(', ')}]` : '';

function valuesOf({ graph, facts }: Situation) {
  const names = [
    ...graph.inputs.map((input) => input.name),
    ...graph.initializers.keys(),
    ...graph.order.flatMap((node) => node.outputs),
  ];
  return Object.fromEntries(
    names
      .filter((name) => name !== '')
      .map((name) => {
        const { type, shape } = facts.value(name);
        return [name, { type: typeName(type), shape: shape ?? null }];
      }),
  );
}
