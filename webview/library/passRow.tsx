import type { KeyboardEvent } from 'react';
import type { PassInfo } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Icon } from '../common/icon';
import { text } from '../strings';
import { usePassDrag } from './usePassDrag';

/** One pass: dragged onto the graph, or added to the selection with Enter or a double-click. */
export function PassRow({ pass }: { readonly pass: PassInfo }) {
  const app = useApp();
  const dragged = useView((state) => state.drag?.pass === pass.id);
  const handlers = usePassDrag(pass.id);

  function add() {
    const { at, blocks } = app.selection.sites();
    app.recipe.add(pass.id, at, blocks);
  }

  function onKeyDown(event: KeyboardEvent<HTMLButtonElement>) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Enter') add();
    else if (step !== undefined) beside(event.currentTarget, step)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <li>
      <button
        type="button"
        className={`pass${dragged ? ' is-dragged' : ''}`}
        title={tooltip(pass)}
        aria-describedby="library-help"
        data-testid={`library-pass-${pass.id}`}
        onKeyDown={onKeyDown}
        onDoubleClick={add}
        {...handlers}
      >
        <span className="pass-title">{pass.title}</span>
        <Icon name="gripper" />
      </button>
    </li>
  );
}

function tooltip({ id, summary, paper }: PassInfo): string {
  const source = paper ? `${paper.authors.split(',')[0]!}: ${paper.title}, ${paper.venue}` : '';
  return [id, summary, source, text('library.how')].filter(Boolean).join('\n\n');
}

/** The pass above or below, across families. */
function beside(button: HTMLElement, step: number): HTMLElement | undefined {
  const all = [...document.querySelectorAll<HTMLElement>('.pass')];
  return all[all.indexOf(button) + step];
}
