/** What the tests of costs have in common: workloads of a single node, bundled targets, tables of numbers. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type {
  BlockedProfile,
  DataflowProfile,
  OverlayProfile,
  SystolicProfile,
  TargetProfile,
} from '../../../language/cost/profile';
import { resolveTarget } from '../../../language/cost/targets';
import type { Workload } from '../../../language/cost/workload';
import { workloads, type Workloads } from '../../../language/cost/workloads';
import { bindShapes } from '../../../language/graph/bindings';
import type { Facts, ShapeBindings } from '../../../language/graph/facts';
import type { Graph } from '../../../language/graph/graph';
import { inferShapes } from '../../../language/graph/shapes/infer';
import type { Shape, Tensor } from '../../../language/onnx/model';
import { packedBytes, type ElementType } from '../../../language/onnx/schema';
import { makeTensor } from '../../../language/onnx/tensor';
import { makeGraph, node, value, weight, type ModelSpec } from '../../models';

export const factsOf = (graph: Graph, bindings: ShapeBindings = {}): Facts =>
  inferShapes(graph, { inputs: bindShapes(graph, bindings).inputs });

export const workloadsOf = (spec: ModelSpec): Workloads => {
  const graph = makeGraph(spec);
  return workloads(graph, factsOf(graph));
};

/** A constant of any type, its bytes all the same. */
export function constant(
  name: string,
  elementType: ElementType,
  dims: readonly number[],
  fill = 1,
): Tensor {
  const count = dims.reduce((a, b) => a * b, 1);
  return makeTensor(
    name,
    elementType,
    dims,
    new Uint8Array(packedBytes(elementType, count)).fill(fill),
  );
}

export interface Operand {
  readonly shape: Shape;
  readonly type?: ElementType;
  /** A weight instead of an input. */
  readonly weight?: true;
}

export interface Case {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly (Operand | null)[];
  readonly attributes?: Parameters<typeof node>[3];
  readonly outputs?: number;
  readonly opset?: number;
  /** Declared, for operators whose shapes the file has to tell. */
  readonly output?: Shape;
}

/** The workload of one node. */
export function workloadOf(given: Case): Workload {
  const names = given.inputs.map((operand, i) => (operand ? `in${i}` : ''));
  const operands = given.inputs.flatMap((operand, i) =>
    operand ? [{ ...operand, name: `in${i}` }] : [],
  );
  const outputs = Array.from({ length: given.outputs ?? 1 }, (_, i) => `out${i}`);
  const spec: ModelSpec = {
    inputs: operands.filter((o) => !o.weight).map((o) => value(o.name, o.shape, o.type)),
    outputs: outputs.map((name) => value(name, given.output)),
    weights: operands
      .filter((o) => o.weight)
      .map((o) =>
        o.type && o.type !== 'float32'
          ? constant(o.name, o.type, o.shape as number[])
          : weight(o.name, o.shape as number[]),
      ),
    nodes: [node(given.op, names, outputs, given.attributes ?? {}, 'it', given.domain ?? '')],
    opset: given.opset ?? 17,
  };
  return workloadsOf(spec).of('it');
}

export const BUNDLED = path.join(import.meta.dirname, '../../../templates/targets');

/** The profile that an id names: its first word is the kind, the second tells designs of a kind apart. */
type Named<Id extends string> = Id extends `fpga.${string}-dataflow`
  ? DataflowProfile
  : Id extends `fpga.${string}`
    ? OverlayProfile
    : Id extends `asic.systolic-${string}`
      ? SystolicProfile
      : Id extends `asic.${string}`
        ? BlockedProfile
        : Id extends `${infer K}.${string}`
          ? Extract<TargetProfile, { kind: K }>
          : never;

export const bundled = <const Id extends string>(id: Id): Named<Id> =>
  resolveTarget(id, BUNDLED) as Named<Id>;

/** Rows of a table of comma-separated values; quoted cells may hold commas. */
export function readTable(file: string): Record<string, string>[] {
  const cells = (line: string) =>
    [...line.matchAll(/("([^"]*)"|[^,]*)(,|$)/g)].slice(0, -1).map((m) => m[2] ?? m[1] ?? '');
  const [head = [], ...rows] = readFileSync(file, 'utf8')
    .trim()
    .split(/\r?\n/)
    .map((line) => cells(`${line},`));
  return rows.map((row) => Object.fromEntries(head.map((name, i) => [name, row[i] ?? ''])));
}

export const fixture = (name: string): Record<string, string>[] =>
  readTable(path.join(import.meta.dirname, '../../fixtures/reference', name));

/** Numbers of a row by their columns. */
export const numbers = (row: Record<string, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, Number(cell)]));

/** Spearman's: Pearson's of the ranks, equal values sharing theirs. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]) =>
    values.map((value) => {
      const below = values.filter((other) => other < value).length;
      const equal = values.filter((other) => other === value).length;
      return below + (equal - 1) / 2;
    });
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const product = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, value, i) => sum + (value - mean) * (q[i]! - mean), 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}
