import { useMemo, useState } from 'react';
import type { Change, LayerReport } from '../../language/protocol';
import { Amount, Difference } from '../common/amount';
import { Icon } from '../common/icon';
import type { Unit } from '../format';
import { counted, text } from '../strings';
import { sortLayers, type Column, type Order } from './sorting';
import { TextLink } from './skipped';

const FIRST_SHOWN = 100;
const COLUMNS: readonly Column[] = ['name', 'op', 'macs', 'weightBytes', 'latency', 'difference'];

interface LayerTableProps {
  readonly layers: readonly LayerReport[];
  readonly target: string | null;
}

/** Every layer before and after; the heads sort. */
export function LayerTable({ layers, target }: LayerTableProps) {
  const [order, setOrder] = useState<Order>({ by: 'latency', falling: true });
  const [all, setAll] = useState(false);
  const sorted = useMemo(() => sortLayers(layers, order, target), [layers, order, target]);
  const shown = all ? sorted : sorted.slice(0, FIRST_SHOWN);
  return (
    <section className="report-section" data-testid="layers">
      <h2>{text('report.layers')}</h2>
      <table className="layers">
        <thead>
          <tr>
            {COLUMNS.map((column) => (
              <Head key={column} column={column} order={order} setOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((layer) => (
            <Layer key={layer.name} layer={layer} target={target} />
          ))}
        </tbody>
      </table>
      {shown.length < sorted.length && (
        <button
          type="button"
          className="link"
          data-testid="all-layers"
          onClick={() => setAll(true)}
        >
          {counted('allLayers', sorted.length)}
        </button>
      )}
    </section>
  );
}

interface HeadProps {
  readonly column: Column;
  readonly order: Order;
  readonly setOrder: (order: Order) => void;
}

function Head({ column, order, setOrder }: HeadProps) {
  const sorted = order.by === column;
  const isText = column === 'name' || column === 'op';
  return (
    <th
      scope="col"
      className={isText ? '' : 'number'}
      aria-sort={sorted ? (order.falling ? 'descending' : 'ascending') : undefined}
    >
      <button
        type="button"
        data-testid={`sort-${column}`}
        onClick={() => setOrder({ by: column, falling: sorted ? !order.falling : !isText })}
      >
        {text(`report.column.${column}`)}
        {sorted && <Icon name={order.falling ? 'arrow-down' : 'arrow-up'} />}
      </button>
    </th>
  );
}

function Layer({ layer, target }: { readonly layer: LayerReport; readonly target: string | null }) {
  const latency = (target === null ? undefined : layer.latencyMs[target]) ?? UNKNOWN;
  return (
    <tr>
      <th scope="row">
        <TextLink node={layer.name} />
      </th>
      <td>{layer.op}</td>
      <Cell change={layer.macs} unit="macs" />
      <Cell change={layer.weightBytes} unit="bytes" />
      <Cell change={latency} unit="time" />
      <td className="number">
        <Difference change={latency} />
      </td>
    </tr>
  );
}

const UNKNOWN: Change = { before: null, after: null };

function Cell({ change, unit }: { readonly change: Change; readonly unit: Unit }) {
  return (
    <td className="number">
      <Amount change={change} unit={unit} />
    </td>
  );
}
