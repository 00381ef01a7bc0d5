import { useEffect, useState } from 'react';
import { text } from '../strings';

const WORDS_AFTER_MS = 1500;

/** The shape of what is coming, for the moment before it is there. */
export function Skeleton() {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), WORDS_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div className="skeleton" role="status" aria-label={text('opening')} data-testid="skeleton">
      <div className="skeleton-bar" />
      <div className="skeleton-cards">
        {[0, 1, 2, 3].map((card) => (
          <div key={card} className="skeleton-card" />
        ))}
        {slow && <p className="quiet">{text('opening')}</p>}
      </div>
    </div>
  );
}
