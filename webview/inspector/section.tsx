import type { ReactNode } from 'react';
import { useApp, useView } from '../app/context';
import { Icon } from '../common/icon';

interface SectionProps {
  readonly id: string;
  readonly title: string;
  readonly count?: number;
  readonly children: ReactNode;
}

/** A part of the inspector that folds. */
export function Section({ id, title, count, children }: SectionProps) {
  const app = useApp();
  const folded = useView((state) => state.folded.includes(id));
  return (
    <section className="section" aria-label={title}>
      <h3>
        <button
          type="button"
          id={id}
          className="section-title"
          aria-expanded={!folded}
          data-testid={`section-${id}`}
          onClick={() => app.fold(id)}
        >
          <Icon name={folded ? 'chevron-right' : 'chevron-down'} />
          {title}
          {count !== undefined && <span className="section-count">{count}</span>}
        </button>
      </h3>
      {!folded && children}
    </section>
  );
}

/** A line of a property sheet. */
export function Row({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className="row">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
