import type { NodeProps } from '@xyflow/react';
import { memo, type CSSProperties } from 'react';
import type { ViewNode } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Amount } from '../common/amount';
import { Icon } from '../common/icon';
import { percent } from '../format';
import { text } from '../strings';
import { Bits, Chips } from './chips';
import { useDetail } from './detail';
import type { NodeEffect } from '../sensitivity/effects';
import type { CardNode, Says } from './flow';
import { heat, heatColour, heatInk, metricOf } from './heat';
import { NodeFrame } from './nodeFrame';

/** A layer, or a closed block or stack. */
export const CardNodeView = memo(function CardNodeView({ data }: NodeProps<CardNode>) {
  const { node, heat: step, level, says } = data;
  const detail = useDetail();
  const colours = { '--heat': heatColour(step), '--heat-ink': heatInk(step) };
  const style = (says === 'nothing' ? PLAIN : colours) as CSSProperties;
  const isUnknown = step === null && says !== 'nothing';
  return (
    <NodeFrame
      node={node}
      level={level}
      says={says}
      className={`card card-${node.kind} card-${detail}`}
      style={style}
    >
      <span className={`heat${isUnknown ? ' heat-unknown' : ''}`} />
      {detail === 'near' && <Near node={node} says={says} />}
      {detail === 'middle' && <Middle node={node} says={says} />}
      {detail === 'far' && <Area node={node} says={says} />}
    </NodeFrame>
  );
});

const PLAIN = { '--heat': 'var(--card)', '--heat-ink': 'var(--ink)' };

interface SayingProps {
  readonly node: ViewNode;
  readonly says: Says;
}

function Near({ node, says }: SayingProps) {
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
      {metric === 'latency' && says === 'cost' && <Strip parts={node.strip} />}
      <div className={`card-foot${isCrowded(node) ? ' is-crowded' : ''}`}>
        <Chips node={node} />
        <Saying node={node} says={says} />
      </div>
    </>
  );
}

function Middle({ node, says }: SayingProps) {
  return (
    <>
      <div className="card-line">
        <span className="card-title">{node.title}</span>
        <Bits node={node} />
      </div>
      <Saying node={node} says={says} />
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
function Area({ node, says }: SayingProps) {
  const share = useView((state) => node.cost.share[state.metric]);
  const words = says === 'cost' ? share !== null && percent(share) : effectOf(says)?.words;
  return (
    <div className="card-area">
      <div className="card-area-words">
        <span>{node.title}</span>
        {words && <span>{words}</span>}
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

const effectOf = (says: Says): NodeEffect | null => (typeof says === 'object' ? says : null);

/** The cost, or what a step does to the node. */
export function Saying({ node, says }: SayingProps) {
  if (says === 'cost') return <Cost node={node} />;
  if (says === 'nothing') return null;
  const { layers, stale, words } = says;
  return (
    <div className={`card-cost card-effect${stale ? ' is-stale' : ''}`}>
      {stale && <Icon name="history" />}
      {words}
      {layers > 1 && (
        <span className="card-share"> · {text('effects.worstOf', { count: layers })}</span>
      )}
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
