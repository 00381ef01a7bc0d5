import { useState } from 'react';
import { FAMILIES, type Family, type PassInfo } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Icon } from '../common/icon';
import { Pane } from '../common/pane';
import { keepTyping } from '../common/textField';
import { text } from '../strings';
import { PassRow } from './passRow';

/** All passes by family, to search, drag from, or add with Enter. */
export function Library() {
  const passes = useView((state) => state.passes);
  const [filter, setFilter] = useState('');
  const shown = passes.filter((pass) => matches(pass, filter));
  return (
    <Pane id="library" title={text('library.title')} grow>
      <div className="library-search">
        <Icon name="search" />
        <input
          type="text"
          className="text-field"
          aria-label={text('library.search')}
          placeholder={text('library.search')}
          spellCheck={false}
          data-testid="library-search"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          onKeyDown={(event) => {
            keepTyping(event, filter !== '');
            if (event.key === 'Escape') setFilter('');
          }}
        />
      </div>
      <div className="library-list">
        {FAMILIES.map((family) => (
          <FamilyGroup
            key={family}
            family={family}
            passes={shown.filter((pass) => pass.family === family)}
            searching={filter !== ''}
          />
        ))}
        {passes.length > 0 && shown.length === 0 && <p className="quiet">{text('library.none')}</p>}
      </div>
      <p className="hidden" id="library-help">
        {text('library.how')}
      </p>
    </Pane>
  );
}

interface FamilyGroupProps {
  readonly family: Family;
  readonly passes: readonly PassInfo[];
  readonly searching: boolean;
}

function FamilyGroup({ family, passes, searching }: FamilyGroupProps) {
  const app = useApp();
  const id = `family:${family}`;
  const folded = useView((state) => state.folded.includes(id)) && !searching;
  if (passes.length === 0) return null;
  const title = text(`family.${family}`);
  return (
    <section className={`family family-${family}`} aria-label={title}>
      <button
        type="button"
        className="family-title"
        aria-expanded={!folded}
        data-testid={`family-${family}`}
        onClick={() => app.fold(id)}
      >
        <Icon name={folded ? 'chevron-right' : 'chevron-down'} />
        <span className="family-dot" />
        <span>{title}</span>
        <span className="family-count">{passes.length}</span>
      </button>
      {!folded && (
        <ul className="pass-list">
          {passes.map((pass) => (
            <PassRow key={pass.id} pass={pass} />
          ))}
        </ul>
      )}
    </section>
  );
}

function matches({ id, title, summary, family, paper }: PassInfo, filter: string): boolean {
  const content = [id, title, summary, family, paper?.title, paper?.authors]
    .join(' ')
    .toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => content.includes(word));
}
