import { useRef, type KeyboardEvent } from 'react';
import type { RooflineLayer } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { percent, quantity } from '../format';
import { text } from '../strings';
import { intensity, rate } from './words';

/** The chart as a table. */
export function LayerTable({ layers }: { readonly layers: readonly RooflineLayer[] }) {
  const app = useApp();
  const at = useView((state) => state.rooflineAt);
  const selected = useView((state) => state.selected);
  const body = useRef<HTMLTableSectionElement>(null);
  const current = Math.max(
    0,
    layers.findIndex(({ node }) => node === at),
  );
  useWantedFocus('roofline', () => body.current?.rows[current]?.focus());
  return (
    <div className="roofline-table">
      <table role="grid" aria-label={text('roofline.label')} data-testid="roofline-table">
        <thead>
          <tr>
            <th scope="col">{text('roofline.layer')}</th>
            <th scope="col" className="number" title={text('roofline.intensityTitle')}>
              {text('roofline.intensity')}
            </th>
            <th scope="col" className="number">
              {text('roofline.rate')}
            </th>
            <th scope="col" className="number">
              {text('metric.latency')}
            </th>
            <th scope="col" className="number">
              {text('families.share')}
            </th>
            <th scope="col">{text('totals.bound')}</th>
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={(event) => onKey(event, current)}>
          {layers.map((layer, row) => (
            <tr
              key={layer.node}
              tabIndex={row === current ? 0 : -1}
              aria-selected={isChosen(layer, selected)}
              data-testid={`roofline-row-${layer.node}`}
              onFocus={() => app.roofline.point(layer.node)}
              onClick={() => app.roofline.choose(layer.node)}
            >
              <th scope="row" title={layer.node}>
                {layer.node} <small>{layer.op}</small>
              </th>
              <td className="number">{intensity(layer.at.macsPerByte)}</td>
              <td className="number">{rate(layer.at.gmacPerS)}</td>
              <td className="number">{quantity(layer.latencyMs, 'time')}</td>
              <td className="number">{percent(layer.share)}</td>
              <td>{layer.bound}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export const isChosen = ({ node, shown }: RooflineLayer, selected: readonly string[]): boolean =>
  selected.includes(node) || (shown !== null && selected.includes(shown));

function onKey(event: KeyboardEvent<HTMLTableSectionElement>, current: number): void {
  const { rows } = event.currentTarget;
  const to = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: rows.length - 1 }[
    event.key
  ];
  if (to !== undefined) rows[Math.max(0, Math.min(rows.length - 1, to))]?.focus();
  else if (event.key === 'Enter' || event.key === ' ') rows[current]?.click();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
