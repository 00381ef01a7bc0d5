import type { NodeProps } from '@xyflow/react';
import { memo } from 'react';
import { useDetail } from './detail';
import type { CardNode } from './flow';
import { NodeFrame } from './nodeFrame';

/** An input or an output of the model. */
export const PortNodeView = memo(function PortNodeView({ data }: NodeProps<CardNode>) {
  const { node, level, says } = data;
  const detail = useDetail();
  return (
    <NodeFrame node={node} level={level} says={says} className={`port port-${detail}`}>
      {detail !== 'far' && <span className="card-title">{node.title}</span>}
      {detail === 'near' && <span className="card-shape">{node.shape}</span>}
    </NodeFrame>
  );
});
