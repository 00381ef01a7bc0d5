/**
 * What integer kernels ask of a model before anything is quantised: an operator set that has quantisation per channel, and
 * layers in 32 bits. Their scales are float32 whatever a model computes in, so that layers in 16 bits are widened, with
 * conversions where they meet what stays in 16 bits. ONNX Runtime converts around such layers on processors anyway.
 */
import type { Facts } from '../../../graph/facts';
import { captures, type Graph } from '../../../graph/graph';
import { raiseBlocker, raiseOpset } from '../../../graph/opset';
import { inferShapes } from '../../../graph/shapes/infer';
import type { Shape } from '../../../onnx/model';
import { PrecisionWriter, TURNABLE } from '../../half';
import { QDQ_OPSET } from '../../layers';
import type { Situation } from '../../pass';

/**
 * Edits the graph; nodes keep their names.
 * @param float sites that stay in the precision that they have
 * @returns the graph with what is known of it then
 */
export function prepare<S extends Situation>(
  situation: S,
  float: ReadonlySet<string>,
  opset = QDQ_OPSET,
): S {
  const { graph, facts } = situation;
  const isOld = graph.opset < opset && !raiseBlocker(graph, facts, opset);
  if (isOld) raiseOpset(graph, facts, opset);
  const isWidened = widen(situation, float);
  return isOld || isWidened ? { ...situation, facts: factsOf(graph, facts) } : situation;
}

/** What is known of a graph that was edited, from what was known of the one before. */
export function factsOf(graph: Graph, before: Facts): Facts {
  const inputs = new Map<string, Shape>();
  for (const { name } of graph.inputs) {
    const { shape } = before.value(name);
    if (shape) inputs.set(name, shape);
  }
  return inferShapes(graph, { inputs, previous: before });
}

/** Tables stay as they are: reading them takes no arithmetic, and they would be twice as large. */
const STAYS = new Set(['Gather']);

function widen({ graph, facts }: Situation, float: ReadonlySet<string>): boolean {
  const isHalf = (value: string) => {
    const constant = graph.constant(value);
    const { type } = facts.value(value);
    return (constant?.elementType ?? (type.kind === 'tensor' && type.elementType)) === 'float16';
  };
  const captured = new Set(graph.order.flatMap(captures));
  const chosen = graph.order.filter(
    ({ id, op, domain, inputs, outputs }) =>
      domain === '' &&
      TURNABLE.has(op) &&
      !STAYS.has(op) &&
      !float.has(id) &&
      [...inputs, ...outputs].some(isHalf) &&
      !outputs.some((output) => captured.has(output)),
  );
  if (chosen.length === 0) return false;
  new PrecisionWriter(graph, new Set(chosen.map(({ id }) => id)), isHalf, 'float32').write();
  return true;
}
