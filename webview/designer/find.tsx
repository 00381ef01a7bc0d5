import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { useApp, useView } from '../app/context';
import { findIn, searchable, type Match } from '../app/finding';
import { Icon } from '../common/icon';
import { keepTyping } from '../common/textField';
import { quantity } from '../format';
import { counted, text } from '../strings';

const MOST_SHOWN = 60;

/** The find box: what it matches is marked in the graph and listed below, closed blocks included. */
export function Find() {
  const app = useApp();
  const wanted = useView((state) => state.findOpen);
  const nodes = useView(searchable);
  const complete = useView((state) => state.everything !== null);
  const [source, setSource] = useState('');
  const [active, setActive] = useState(0);
  const [listed, setListed] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const listId = useId();

  const result = useMemo(() => findIn(nodes, source), [nodes, source]);
  const shown = result.matches.slice(0, MOST_SHOWN);

  useEffect(() => app.store.set({ found: result.ids }), [app, result]);
  useEffect(() => {
    if (!wanted) return;
    app.store.set({ findOpen: false });
    input.current?.focus();
    input.current?.select();
  }, [app, wanted]);

  function onType(typed: string) {
    setSource(typed);
    setActive(0);
    setListed(true);
    if (typed !== '') void app.finding.prepare();
  }

  function go({ node, inside }: Match) {
    setListed(false);
    app.selection.reveal(node.id, inside);
  }

  function onKeyDown(event: KeyboardEvent) {
    keepTyping(event, source !== '');
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const match = shown[active];
    if (step !== undefined && shown.length > 0) {
      setListed(true);
      setActive((active + step + shown.length) % shown.length);
    } else if (event.key === 'Enter' && match) {
      go(match);
      setActive((active + (listed ? 0 : 1)) % shown.length);
    } else if (event.key === 'Escape') {
      onType('');
      setListed(false);
      toGraph(app.store.get().current);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div className="find" role="search">
      <Icon name="search" />
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label={text('find.label')}
        aria-expanded={listed && source !== ''}
        aria-controls={listId}
        aria-activedescendant={listed && shown[active] ? `${listId}-${active}` : undefined}
        placeholder={text('find.placeholder')}
        title={text('find.title')}
        spellCheck={false}
        data-testid="find"
        value={source}
        onChange={(event) => onType(event.target.value)}
        onFocus={() => setListed(true)}
        onBlur={() => setListed(false)}
        onKeyDown={onKeyDown}
      />
      {source === '' ? <kbd>/</kbd> : <span className="find-count">{result.matches.length}</span>}
      {listed && source !== '' && (
        <div className="find-results" data-testid="find-results">
          <ul role="listbox" id={listId} aria-label={text('find.results')}>
            {shown.map((match, index) => (
              <li
                key={match.node.id}
                role="option"
                id={`${listId}-${index}`}
                aria-selected={index === active}
                data-testid={`found-${match.node.id}`}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => go(match)}
                ref={(element) => {
                  if (index === active) element?.scrollIntoView({ block: 'nearest' });
                }}
              >
                <Hit match={match} />
              </li>
            ))}
          </ul>
          <FindNote count={result.matches.length} problems={result.problems} complete={complete} />
        </div>
      )}
    </div>
  );
}

function Hit({ match: { node } }: { readonly match: Match }) {
  const macs = node.cost.macs.after;
  return (
    <>
      <strong>{node.title}</strong>
      <small className="find-path" title={node.id}>
        {node.id}
      </small>
      <small>{node.subtitle}</small>
      <small className="find-cost">{macs ? quantity(macs, 'macs') : ''}</small>
    </>
  );
}

interface FindNoteProps {
  readonly count: number;
  readonly problems: readonly string[];
  readonly complete: boolean;
}

function FindNote({ count, problems, complete }: FindNoteProps) {
  const notes = [
    problems.length > 0 ? text('find.problem', { terms: problems.join(' ') }) : '',
    count === 0 && problems.length === 0 ? text('find.none') : '',
    count > MOST_SHOWN ? counted('found', count) : '',
    complete ? '' : text('find.visibleOnly'),
  ].filter(Boolean);
  return notes.length > 0 ? <p className="find-note">{notes.join(' · ')}</p> : null;
}

function toGraph(current: string | null): void {
  const nodes = [...document.querySelectorAll<HTMLElement>('[data-node]')];
  const node = nodes.find((element) => element.dataset.node === current) ?? nodes[0];
  node?.focus({ preventScroll: true });
}
