import type { ReactNode } from 'react';
import { useApp, useView } from '../app/context';
import { Icon } from './icon';

interface PaneProps {
  readonly id: string;
  readonly title: string;
  readonly children: ReactNode;
  readonly aside?: ReactNode;
  readonly grow?: boolean;
}

/** A titled part of a side bar that folds away and remembers it. */
export function Pane({ id, title, children, aside, grow = false }: PaneProps) {
  const app = useApp();
  const folded = useView((state) => state.folded.includes(id));
  return (
    <section
      className={`pane${grow ? ' pane-grow' : ''}${folded ? ' pane-folded' : ''}`}
      aria-label={title}
    >
      <header className="pane-header">
        <button
          type="button"
          className="pane-title"
          aria-expanded={!folded}
          data-testid={`fold-${id}`}
          onClick={() => app.fold(id)}
        >
          <Icon name={folded ? 'chevron-right' : 'chevron-down'} />
          <span>{title}</span>
        </button>
        {aside}
      </header>
      {!folded && <div className="pane-body">{children}</div>}
    </section>
  );
}
