import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react';
import { Icon } from './icon';
import { useReturnFocus } from './returnFocus';

export type MenuEntry =
  | { readonly kind: 'separator'; readonly id: string }
  | {
      readonly kind: 'item';
      readonly id: string;
      readonly label: string;
      readonly keys?: string;
      readonly disabled?: boolean;
      readonly run: () => void;
    }
  | {
      readonly kind: 'submenu';
      readonly id: string;
      readonly label: string;
      readonly entries: readonly MenuEntry[];
    };

interface MenuProps {
  readonly entries: readonly MenuEntry[];
  readonly label: string;
  readonly testId: string;
  readonly x: number;
  readonly y: number;
  readonly onClose: () => void;
}

/** A context menu at a place of the page. */
export function Menu({ entries, label, testId, x, y, onClose }: MenuProps) {
  const box = useReturnFocus<HTMLDivElement>();
  const [place, setPlace] = useState({ x, y });

  useLayoutEffect(() => {
    const { width, height } = box.current!.getBoundingClientRect();
    setPlace({
      x: Math.max(4, Math.min(x, window.innerWidth - width - 4)),
      y: Math.max(4, Math.min(y, window.innerHeight - height - 4)),
    });
  }, [box, x, y]);

  useEffect(() => {
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) onClose();
    };
    document.addEventListener('pointerdown', outside, true);
    window.addEventListener('blur', onClose);
    return () => {
      document.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('blur', onClose);
    };
  }, [box, onClose]);

  return (
    <div
      className="menu-layer"
      ref={box}
      style={{ left: place.x, top: place.y }}
      data-testid={testId}
      onContextMenu={(event) => event.preventDefault()}
    >
      <MenuList entries={entries} label={label} onClose={onClose} />
    </div>
  );
}

interface MenuListProps {
  readonly entries: readonly MenuEntry[];
  readonly label: string;
  readonly onClose: () => void;
  /** Of a submenu: back to its parent. */
  readonly onBack?: () => void;
}

function MenuList({ entries, label, onClose, onBack }: MenuListProps) {
  const list = useRef<HTMLUListElement>(null);
  const [opened, setOpened] = useState<string | null>(null);

  useEffect(() => itemsOf(list.current!)[0]?.focus(), []);

  function onKeyDown(event: KeyboardEvent) {
    const items = itemsOf(list.current!);
    const at = items.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) items[(at + step + items.length) % items.length]?.focus();
    else if (event.key === 'Home') items[0]?.focus();
    else if (event.key === 'End') items.at(-1)?.focus();
    else if (event.key === 'Escape' && !onBack) onClose();
    else if ((event.key === 'ArrowLeft' || event.key === 'Escape') && onBack) onBack();
    else if (event.key === 'Tab') onClose();
    else if (event.key.length === 1) startingWith(items, at, event.key)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  return (
    <ul className="menu" role="menu" aria-label={label} ref={list} onKeyDown={onKeyDown}>
      {entries.map((entry) =>
        entry.kind === 'separator' ? (
          <li key={entry.id} role="separator" className="menu-separator" />
        ) : (
          <li key={entry.id} role="none" className="menu-row">
            <MenuButton
              entry={entry}
              opened={opened === entry.id}
              onClose={onClose}
              onOpen={(open) => setOpened(open ? entry.id : null)}
            />
            {entry.kind === 'submenu' && opened === entry.id && (
              <div className="submenu">
                <MenuList
                  entries={entry.entries}
                  label={entry.label}
                  onClose={onClose}
                  onBack={() => {
                    setOpened(null);
                    itemsOf(list.current!)
                      .find((item) => item.dataset.entry === entry.id)
                      ?.focus();
                  }}
                />
              </div>
            )}
          </li>
        ),
      )}
    </ul>
  );
}

interface MenuButtonProps {
  readonly entry: Exclude<MenuEntry, { kind: 'separator' }>;
  readonly opened: boolean;
  readonly onClose: () => void;
  readonly onOpen: (open: boolean) => void;
}

function MenuButton({ entry, opened, onClose, onOpen }: MenuButtonProps) {
  const isSubmenu = entry.kind === 'submenu';
  const disabled = isSubmenu ? entry.entries.length === 0 : (entry.disabled ?? false);
  function run() {
    if (disabled) return;
    if (isSubmenu) {
      onOpen(true);
      return;
    }
    onClose();
    entry.run();
  }
  return (
    <button
      type="button"
      role="menuitem"
      tabIndex={-1}
      className="menu-item"
      data-entry={entry.id}
      data-testid={`menu-${entry.id}`}
      aria-disabled={disabled}
      aria-haspopup={isSubmenu ? 'menu' : undefined}
      aria-expanded={isSubmenu ? opened : undefined}
      onClick={run}
      onPointerMove={(event) => {
        // A menu that opens under a resting pointer stays with the keyboard.
        if (event.movementX === 0 && event.movementY === 0) return;
        if (isSubmenu) onOpen(true);
        else {
          event.currentTarget.focus({ preventScroll: true });
          onOpen(false);
        }
      }}
      onKeyDown={(event) => {
        if (event.key !== 'ArrowRight' || !isSubmenu) return;
        event.stopPropagation();
        run();
      }}
    >
      <span>{entry.label}</span>
      {isSubmenu ? <Icon name="chevron-right" /> : <kbd>{entry.keys}</kbd>}
    </button>
  );
}

/** The items of this list, without those of an open submenu. */
function itemsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>(':scope > li > [role="menuitem"]')];
}

function startingWith(items: readonly HTMLElement[], after: number, letter: string) {
  const turned = [...items.slice(after + 1), ...items.slice(0, after + 1)];
  return turned.find((item) => item.textContent.toLowerCase().startsWith(letter.toLowerCase()));
}
