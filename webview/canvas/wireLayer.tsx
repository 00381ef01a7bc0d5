import { useStore, ViewportPortal } from '@xyflow/react';
import { memo, useMemo } from 'react';
import { useView } from '../app/context';
import { useDetail } from './detail';
import { meets, wiresOf, type Box, type Wire } from './wires';

/** Up to this many lines, all are drawn; of more, those about the screen. */
const DRAWN_AT_ONCE = 400;

/**
 * All edges in one drawing. React Flow's own would each follow every move of the view, and measure handles in the DOM
 * whose places are known.
 */
export function WireLayer() {
  const view = useView((state) => state.design?.view);
  const wires = useMemo(() => (view ? wiresOf(view) : []), [view]);
  const about = useStore(({ width, height, transform }) => tileAbout(width, height, transform));
  const labelled = useDetail() === 'near';
  const shown = useMemo(() => {
    if (wires.length <= DRAWN_AT_ONCE) return wires;
    const [left, top, right, bottom] = about.split(' ').map(Number);
    const box: Box = { left: left!, top: top!, right: right!, bottom: bottom! };
    return wires.filter((wire) => meets(wire.box, box));
  }, [about, wires]);
  return (
    <ViewportPortal>
      <svg className="wires" aria-hidden="true">
        {shown.map(({ id, path, status }) => (
          <Line key={id} path={path} status={status} />
        ))}
        {labelled &&
          shown.map(
            ({ id, label }) =>
              label && <Label key={id} text={label.text} x={label.x} y={label.y} />,
          )}
      </svg>
    </ViewportPortal>
  );
}

const Line = memo(function Line({ path, status }: Pick<Wire, 'path' | 'status'>) {
  return <path className={`wire wire-${status}`} d={path} />;
});

const Label = memo(function Label({ text, x, y }: NonNullable<Wire['label']>) {
  return (
    <text className="wire-label" x={x} y={y} dy="0.35em">
      {text}
    </text>
  );
});

/** The part of the graph within a screen of the view, as text: it changes only when the view moves half a screen. */
function tileAbout(
  width: number,
  height: number,
  [x, y, zoom]: readonly [number, number, number],
): string {
  const scale = 2 ** Math.floor(Math.log2(zoom));
  const [w, h] = [Math.max(1, width) / scale, Math.max(1, height) / scale];
  const left = Math.floor(-x / zoom / (w / 2)) * (w / 2) - w / 2;
  const top = Math.floor(-y / zoom / (h / 2)) * (h / 2) - h / 2;
  return [left, top, left + 2.5 * w, top + 2.5 * h].join(' ');
}
