import { useStore, ViewportPortal } from '@xyflow/react';
import { useView } from '../app/context';
import { textSizeAt } from './detail';

/** Names of open blocks, beside them, where their heads are too small to hold any. */
export function AreaNames() {
  const nodes = useView((state) => state.design?.view.nodes) ?? [];
  const textSize = useStore((state) => textSizeAt(state.transform[2]));
  const areas = nodes.filter(
    (node) => node.open && node.parent === null && node.height > 1.5 * textSize,
  );
  return (
    <ViewportPortal>
      {areas.map(({ id, title, x, y }) => (
        <span
          key={id}
          className="area-name"
          style={{ transform: `translate(-100%, 0) translate(${x}px, ${y}px)` }}
          aria-hidden="true"
        >
          {title}
        </span>
      ))}
    </ViewportPortal>
  );
}
