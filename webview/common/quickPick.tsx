import {
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import { text } from '../strings';
import { keepTyping } from './textField';
import { useReturnFocus } from './returnFocus';

export interface PickItem {
  readonly id: string;
  readonly label: string;
  readonly description?: string;
  readonly detail?: string;
  readonly group?: string;
  readonly icon?: ReactNode;
  readonly current?: boolean;
}

interface QuickPickProps {
  readonly items: readonly PickItem[];
  readonly label: string;
  readonly testId: string;
  /** Drawn at the right of the active item. */
  readonly aside?: ReactNode;
  readonly onPick: (id: string) => void;
  readonly onClose: () => void;
  readonly onActive?: (id: string | null) => void;
}

/** A list to type into, as VS Code's quick pick: arrows choose, Enter takes, Escape leaves. */
export function QuickPick({
  items,
  label,
  testId,
  aside,
  onPick,
  onClose,
  onActive,
}: QuickPickProps) {
  const [filter, setFilter] = useState('');
  const shown = useMemo(() => items.filter((item) => matches(item, filter)), [items, filter]);
  const [active, setActive] = useState(() =>
    Math.max(
      0,
      items.findIndex((item) => item.current),
    ),
  );
  const list = useRef<HTMLUListElement>(null);
  const listId = useId();
  const box = useReturnFocus<HTMLDivElement>();
  const index = Math.min(active, shown.length - 1);
  const activeId = shown[index]?.id ?? null;

  useEffect(() => onActive?.(activeId), [activeId, onActive]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [index, shown]);

  function onKeyDown(event: KeyboardEvent) {
    keepTyping(event, filter !== '');
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step !== undefined) setActive(wrap(index + step, shown.length, Math.abs(step) === 1));
    else if (event.key === 'Enter' && activeId !== null) onPick(activeId);
    else if (event.key === 'Escape' || event.key === 'Tab') onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <div className="quick-pick" ref={box} data-testid={testId}>
      <input
        type="text"
        className="text-field"
        role="combobox"
        aria-label={label}
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={activeId === null ? undefined : `${listId}-${index}`}
        placeholder={label}
        spellCheck={false}
        autoFocus
        value={filter}
        onChange={(event) => {
          setFilter(event.target.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
        onBlur={(event) => {
          if (!box.current?.contains(event.relatedTarget)) onClose();
        }}
      />
      <ul role="listbox" id={listId} ref={list} aria-label={label}>
        {shown.map((item, place) => (
          <Item
            key={item.id}
            id={`${listId}-${place}`}
            item={item}
            heading={item.group !== shown[place - 1]?.group ? item.group : undefined}
            active={place === index}
            aside={place === index ? aside : null}
            onPick={() => onPick(item.id)}
            onHover={() => setActive(place)}
          />
        ))}
        {shown.length === 0 && <li className="quick-pick-empty">{text('pick.none')}</li>}
      </ul>
    </div>
  );
}

interface ItemProps {
  readonly id: string;
  readonly item: PickItem;
  readonly heading: string | undefined;
  readonly active: boolean;
  readonly aside: ReactNode;
  readonly onPick: () => void;
  readonly onHover: () => void;
}

function Item({ id, item, heading, active, aside, onPick, onHover }: ItemProps) {
  return (
    <>
      {heading !== undefined && (
        <li className="quick-pick-heading" role="presentation">
          {heading}
        </li>
      )}
      <li
        role="option"
        id={id}
        aria-selected={active}
        data-testid={`pick-${item.id}`}
        // Taking the mouse down keeps the focus in the field until the click.
        onMouseDown={(event) => event.preventDefault()}
        onClick={onPick}
        onMouseMove={active ? undefined : onHover}
      >
        {item.icon}
        <span className="quick-pick-label">
          {item.label}
          {item.description !== undefined && <small>{item.description}</small>}
        </span>
        {aside}
        {item.detail !== undefined && <span className="quick-pick-detail">{item.detail}</span>}
      </li>
    </>
  );
}

/** All words occur somewhere in the item. */
function matches({ label, description, detail, group, id }: PickItem, filter: string): boolean {
  const content = [label, description, detail, group, id].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => content.includes(word));
}

function wrap(index: number, length: number, around: boolean): number {
  if (length === 0) return 0;
  if (around) return (index + length) % length;
  return Math.min(length - 1, Math.max(0, index));
}
