/** Every operator that can be counted. What is not here is unknown, and says so. */
import type { NodeRecord } from '../../onnx/model';
import { canonicalDomain } from '../../onnx/schema';
import { ATTENTIONS } from './attention';
import { CLASSICAL } from './classical';
import { CONVOLUTIONS } from './convolution';
import { MATMULS } from './matmul';
import { MOVEMENT } from './movement';
import type { Operator } from './operator';
import { POINTWISE } from './pointwise';
import { SAMPLING } from './sampling';

/** By operator, those outside the standard as `domain:Operator`. */
const TABLE: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...CONVOLUTIONS,
    ...MATMULS,
    ...ATTENTIONS,
    ...POINTWISE,
    ...SAMPLING,
    ...MOVEMENT,
    ...CLASSICAL,
  }),
);

export function operatorOf(node: NodeRecord): Operator | undefined {
  const domain = canonicalDomain(node.domain);
  return TABLE.get(domain ? `${domain}:${node.op}` : node.op);
}

/** Of an operator of the ONNX standard. */
export const operatorKind = (op: string): Operator['kind'] | undefined => TABLE.get(op)?.kind;
