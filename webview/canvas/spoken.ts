import type { Metric, ViewNode } from '../../language/protocol';
import { changeText, percent } from '../format';
import { text } from '../strings';
import type { Says } from './flow';
import { metricOf } from './heat';

/** A node in one sentence: `blocks.0, 3 × Block, 197 × 192, latency 1.95 ms, 34 %, changed`. */
export function spokenNode(node: ViewNode, metric: Metric, says: Says = 'cost'): string {
  const { change, unit } = metricOf(node.cost, metric);
  const { before, after } = changeText(change, unit);
  const share = node.cost.share[metric];
  const cost =
    after === null
      ? (node.cost.unknown ?? text('unknown'))
      : before === null
        ? after
        : text('beforeTo', { before, after });
  const effect = typeof says === 'object' ? says.words : '';
  return [
    node.title,
    node.subtitle,
    node.shape,
    effect && `${text('effects.picker')} ${effect}`,
    hasCost(node) ? `${text(`metric.${metric}`)} ${cost}` : '',
    share === null || share === 0 ? '' : percent(share),
    node.status === 'kept' ? '' : text(`status.${node.status}`),
    ...node.chips.map((chip) => chip.text),
  ]
    .filter(Boolean)
    .join(', ');
}

export function hasCost(node: ViewNode): boolean {
  return node.kind !== 'input' && node.kind !== 'output';
}
