/** What is to be said of a layer besides its cost: what became of it, its shape, its precision, where it runs. */
import type { Facts } from '../graph/facts';
import type { Graph, Node } from '../graph/graph';
import { sameAttributes } from '../graph/same';
import { sameShape } from '../graph/shapes/dims';
import type { Shape } from '../onnx/model';
import { elementBits, isFloat, type ElementType } from '../onnx/schema';
import type { Family, ViewNode } from '../protocol';
import type { LayerNumbers } from './costs';
import type { MergedLayer } from './merge';

/** A model, what is known of its values, and what its layers cost. */
export interface Side {
  readonly graph: Graph;
  readonly facts: Facts;
  /** By node id; undefined while nothing is known. */
  costs(node: string): LayerNumbers | undefined;
}

export interface Look {
  readonly status: ViewNode['status'];
  readonly family: Family | null;
  /** Of the first output. */
  readonly shape: Shape | undefined;
  readonly shapeBefore: Shape | undefined;
  /** `W8A8`; null for full precision and for layers without weights. */
  readonly precision: string | null;
  /** Multiplies by weights: a layer that quantisation is about. */
  readonly multiplies: boolean;
  /** Of weights that were thinned out. */
  readonly density: number | undefined;
  readonly parameters: number;
  readonly assigned: string | undefined;
  readonly unknown: string | undefined;
}

export interface Looking {
  readonly before: Side;
  readonly after: Side;
  /** Family of the last step that touched a node, by its id. */
  readonly families: ReadonlyMap<string, Family>;
}

/** From here on weights count as dense. */
const DENSE = 0.99;

export function lookOf(layer: MergedLayer, { before, after, families }: Looking): Look {
  const was = layer.before && before.costs(layer.before.id);
  const is = layer.after && after.costs(layer.after.id);
  const shape = layer.after && shapeOf(layer.after, after.facts);
  const shapeBefore = layer.before && shapeOf(layer.before, before.facts);
  const family = families.get(layer.id) ?? families.get(layer.after?.id ?? '') ?? null;
  const precision = precisionOf(is, was);
  const change =
    family !== null ||
    !sameShape(shape, shapeBefore) ||
    precision !== precisionOf(was, was) ||
    (is?.density ?? 1) !== (was?.density ?? 1);
  return {
    status: statusOf(layer, before.graph, after.graph, change),
    family,
    shape,
    shapeBefore,
    precision,
    multiplies: is?.weightType !== undefined && (is.macs ?? 0) > 0,
    density: is?.density !== undefined && is.density < DENSE ? is.density : undefined,
    parameters: is?.parameters ?? 0,
    assigned: layer.after?.assigned,
    unknown: is?.unknown,
  };
}

export function shapeOf(node: Node, facts: Facts): Shape | undefined {
  const [output] = node.outputs;
  return output ? facts.value(output).shape : undefined;
}

function statusOf(
  { before: was, after: is }: MergedLayer,
  before: Graph,
  after: Graph,
  change: boolean,
): Look['status'] {
  if (!is) return 'removed';
  if (!was) return 'inserted';
  return change || !sameNode(was, is, before, after) ? 'changed' : 'kept';
}

/** Whether a node computes the same; where its inputs come from is seen on the lines. */
function sameNode(was: Node, is: Node, before: Graph, after: Graph): boolean {
  if (was.op !== is.op || was.domain !== is.domain || was.assigned !== is.assigned) return false;
  if (!sameAttributes(was.attributes, is.attributes)) return false;
  return is.inputs.every((input, i) => {
    const other = was.inputs[i];
    const constant = after.constant(input);
    return other === undefined || !constant || constant === before.constant(other);
  });
}

/** Codes of eight bits and fewer by their bits; half precision only where it was full before. */
function precisionOf(
  now: LayerNumbers | undefined,
  before: LayerNumbers | undefined,
): string | null {
  const weights = codeBits(now?.weightType);
  if (weights !== undefined) {
    const activations = codeBits(now?.inputType);
    return `W${weights}${activations === undefined ? '' : `A${activations}`}`;
  }
  const halved = before?.weightType === 'float32' && now?.weightType;
  if (halved === 'float16') return 'FP16';
  return halved === 'bfloat16' ? 'BF16' : null;
}

export function codeBits(type: ElementType | undefined): number | undefined {
  if (type === undefined || type === 'bool') return undefined;
  const bits = elementBits(type);
  return bits > 0 && bits <= 8 && !isFloat(type) ? bits : undefined;
}
