/** A model opened for costing and rewriting. */
import { bindShapes } from '../graph/bindings';
import { fixedShape, type ShapeBindings } from '../graph/facts';
import { Graph } from '../graph/graph';
import { substitute } from '../graph/shapes/dims';
import { inferShapes } from '../graph/shapes/infer';
import type { Dim, Model } from '../onnx/model';
import { readModelFile } from '../onnx/read';
import type { Situation } from '../passes/pass';
import type { Base } from './steps';

export interface OpenedModel {
  readonly file: string;
  readonly model: Model;
  readonly graph: Graph;
}

export function openModel(file: string): OpenedModel {
  const model = readModelFile(file);
  return { file, model, graph: Graph.of(model) };
}

export interface BoundModel extends Base {
  readonly file: string;
  /** Leading dimensions taken as 1. */
  readonly assumed: Readonly<Record<string, number>>;
  readonly free: readonly { readonly symbol: string; readonly inputs: readonly string[] }[];
}

/** The model with sizes for its free dimensions. */
export function bindModel({ file, graph }: OpenedModel, bindings: ShapeBindings): BoundModel {
  const { inputs, assumed, free } = bindShapes(graph, bindings);
  return { file, graph, facts: inferShapes(graph, { inputs }), inputs, assumed, free };
}

/**
 * The model, or what a recipe made of it, with every size that is still free taken as 1, the least it can be: what is
 * counted on this is at least so much.
 */
export function atLeast(base: BoundModel, { graph, facts }: Situation = base): Situation {
  if (base.free.length === 0) return { graph, facts };
  const ones = new Map(base.free.map(({ symbol }) => [symbol, 1]));
  const sized = [...base.inputs].map(
    ([name, shape]) => [name, shape.map((dim) => least(dim, ones))] as const,
  );
  return { graph, facts: inferShapes(graph, { inputs: new Map(sized) }) };
}

function least(dim: Dim, ones: ReadonlyMap<string, number>): Dim {
  const size = substitute(dim, ones);
  return typeof size === 'number' ? Math.max(0, size) : size;
}

/** The inputs' sizes as ONNX Runtime's tasks want them; inputs that are still free are left out. */
export function inputSizes({ inputs }: Base): Record<string, readonly number[]> {
  const sizes: Record<string, readonly number[]> = {};
  for (const [name, shape] of inputs) {
    const fixed = fixedShape(shape);
    if (fixed) sizes[name] = fixed;
  }
  return sizes;
}
