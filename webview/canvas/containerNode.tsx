import type { NodeProps } from '@xyflow/react';
import { memo, type CSSProperties } from 'react';
import { Chevron, Saying } from './cardNode';
import { useDetail } from './detail';
import type { CardNode } from './flow';
import { heatColour } from './heat';
import { NodeFrame } from './nodeFrame';

/** An open block: a frame behind its parts, with its totals in the head. */
export const ContainerNodeView = memo(function ContainerNodeView({ data }: NodeProps<CardNode>) {
  const { node, heat, level, says } = data;
  const detail = useDetail();
  return (
    <NodeFrame
      node={node}
      level={level}
      says={says}
      className={`container container-${detail}`}
      style={{ '--heat': heatColour(heat) } as CSSProperties}
    >
      {detail !== 'far' && (
        <div className="container-head">
          <div className="container-name">
            <Chevron node={node} />
            <span className="card-title" title={node.id}>
              {node.title}
            </span>
            {detail === 'near' && <span className="card-op">{node.subtitle}</span>}
          </div>
          {detail === 'near' && <Saying node={node} says={says} />}
        </div>
      )}
    </NodeFrame>
  );
});
