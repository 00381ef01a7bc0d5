/** A model opened for costing and rewriting. */
import { bindShapes } from '../graph/bindings';
import { fixedShape, type ShapeBindings } from '../graph/facts';
import { Graph } from '../graph/graph';
import { inferShapes } from '../graph/shapes/infer';
import type { Model } from '../onnx/model';
import { readModelFile } from '../onnx/read';
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

/** The inputs' sizes as ONNX Runtime's tasks want them; inputs that are still free are left out. */
export function inputSizes({ inputs }: Base): Record<string, readonly number[]> {
  const sizes: Record<string, readonly number[]> = {};
  for (const [name, shape] of inputs) {
    const fixed = fixedShape(shape);
    if (fixed) sizes[name] = fixed;
  }
  return sizes;
}
