import { MiniMap } from '@xyflow/react';
import { useApp, useView } from '../app/context';
import { IconButton } from '../common/iconButton';
import { text } from '../strings';
import type { CardNode } from './flow';
import { heatColour } from './heat';

/** The whole graph in small, to jump about in. */
export function Overview() {
  const app = useApp();
  const folded = useView((state) => state.folded.includes('minimap'));
  const toggle = (
    <IconButton
      icon={folded ? 'map' : 'chevron-down'}
      label={text(folded ? 'minimap.show' : 'minimap.hide')}
      testId="fold-minimap"
      onClick={() => app.fold('minimap')}
    />
  );
  return (
    <div className={`overview${folded ? ' overview-folded' : ''}`}>
      {!folded && (
        <MiniMap<CardNode>
          pannable
          zoomable
          ariaLabel={text('minimap.label')}
          nodeColor={colourOf}
          nodeClassName={classOf}
          nodeBorderRadius={8}
          offsetScale={0}
        />
      )}
      {toggle}
    </div>
  );
}

function colourOf({ type, data }: CardNode): string {
  if (type === 'port') return 'var(--line-strong)';
  if (type === 'container') return 'transparent';
  return data.heat === null ? 'var(--card-line)' : heatColour(data.heat);
}

function classOf({ type }: CardNode): string {
  return `minimap-${type}`;
}
