import type { NodeProps } from '@xyflow/react';
import { memo, type CSSProperties } from 'react';
import type { ViewNode } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Amount } from '../common/amount';
import { Icon } from '../common/icon';
import { percent } from '../format';
import { text } from '../strings';
import { Chips } from './chips';
import { useDetail } from './detail';
import type { CardNode } from './flow';
import { heat, heatColour, heatInk, metricOf } from './heat';
import { NodeFrame } from './nodeFrame';

/** A layer, or a closed block or stack. */
export const CardNodeView = memo(function CardNodeView({ data }: NodeProps<CardNode>) {
  const { node, heat: step, level } = data;
  const detail = useDetail();
  const style = { '--heat': heatColour(step), '--heat-ink': heatInk(step) } as CSSProperties;
  return (
    <NodeFrame
      node={node}
      level={level}
      className={`card card-${node.kind} card-${detail}`}
      style={style}
    >
      <span className={`heat${step === null ? ' heat-unknown' : ''}`} />
      {detail === 'near' && <Near node={node} />}
      {detail === 'middle' && <Middle node={node} />}
      {detail === 'far' && <Area node={node} />}
    </NodeFrame>
  );
});

function Near({ node }: { readonly node: ViewNode }) {
  const metric = useView((state) => state.metric);
  return (
    <>
      <div className="card-head">
        {node.foldable && <Chevron node={node} />}
        <span className="card-title" title={node.id}>
          {node.title}
        </span>
        <span className="card-op">{node.subtitle}</span>
      </div>
      <Shape node={node} />
      {metric === 'latency' && <Strip parts={node.strip} />}
      <div className={`card-foot${isCrowded(node) ? ' is-crowded' : ''}`}>
        <Chips chips={node.chips} />
        <Cost node={node} />
      </div>
    </>
  );
}

function Middle({ node }: { readonly node: ViewNode }) {
  return (
    <>
      <div className="card-title">{node.title}</div>
      <Cost node={node} />
    </>
  );
}

/** Letters of chips that leave room for the cost and what it was before. */
const CHIP_ROOM = { layer: 6, block: 14 };

function isCrowded({ kind, chips }: ViewNode): boolean {
  const letters = chips.reduce((sum, { text: words }) => sum + words.length + 2, 0);
  return letters > (kind === 'layer' ? CHIP_ROOM.layer : CHIP_ROOM.block);
}

export function Chevron({ node }: { readonly node: ViewNode }) {
  const app = useApp();
  return (
    <button
      type="button"
      className="chevron nopan"
      tabIndex={-1}
      aria-label={text(node.open ? 'canvas.close' : 'canvas.open', { name: node.title })}
      data-testid={`toggle-${node.id}`}
      onClick={(event) => {
        event.stopPropagation();
        app.selection.toggle(node.id);
      }}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <Icon name={node.open ? 'chevron-down' : 'chevron-right'} />
    </button>
  );
}

function Shape({ node }: { readonly node: ViewNode }) {
  if (!node.shape && node.shapeBefore === null) return null;
  return (
    <div className="card-shape" title={text('shape.of', { shape: node.shape })}>
      {node.shapeBefore !== null && (
        <>
          <span className="shape-before">{node.shapeBefore}</span> →{' '}
        </>
      )}
      <span className={node.shapeBefore === null ? '' : 'shape-after'}>{node.shape}</span>
    </div>
  );
}

/** A coloured area with its name and share, as far as they fit. */
function Area({ node }: { readonly node: ViewNode }) {
  const share = useView((state) => node.cost.share[state.metric]);
  return (
    <div className="card-area">
      <div className="card-area-words">
        <span>{node.title}</span>
        {share !== null && <span>{percent(share)}</span>}
      </div>
    </div>
  );
}

/** The costs of a folded block's parts, in order. */
function Strip({ parts }: { readonly parts: readonly number[] }) {
  if (parts.length === 0) return null;
  const largest = Math.max(...parts);
  return (
    <div className="strip" aria-hidden="true">
      {parts.map((part, index) => (
        <span key={index} style={{ flexGrow: part, background: heatColour(heat(part, largest)) }} />
      ))}
    </div>
  );
}

export function Cost({ node }: { readonly node: ViewNode }) {
  const metric = useView((state) => state.metric);
  const { change, unit } = metricOf(node.cost, metric);
  const share = node.cost.share[metric];
  return (
    <div className="card-cost">
      <Amount change={change} unit={unit} reason={node.cost.unknown} />
      {share !== null && change.after !== null && (
        <span className="card-share"> · {percent(share)}</span>
      )}
    </div>
  );
}
