import { useState, type KeyboardEvent } from 'react';

interface TextFieldProps {
  readonly value: string;
  readonly label: string;
  readonly id?: string;
  readonly testId?: string;
  readonly placeholder?: string;
  readonly numeric?: boolean;
  readonly invalid?: boolean;
  readonly describedBy?: string | undefined;
  /** Enter or leaving the field, when the text differs from `value`. */
  readonly onCommit: (text: string) => void;
  /** While typing. */
  readonly onType?: (text: string) => void;
  readonly onCancel?: () => void;
}

/** A field that keeps its own typing history and commits on Enter or blur. */
export function TextField(props: TextFieldProps) {
  const { value, label, id, testId, placeholder, numeric, invalid, describedBy } = props;
  const [typed, setTyped] = useState<string | null>(null);

  function commit() {
    if (typed === null) return;
    setTyped(null);
    if (typed !== value) props.onCommit(typed);
  }

  function onKeyDown(event: KeyboardEvent) {
    keepTyping(event, typed !== null);
    if (event.key === 'Enter') commit();
    if (event.key === 'Escape' && typed !== null) {
      event.stopPropagation();
      setTyped(null);
      props.onCancel?.();
    }
  }

  return (
    <input
      type="text"
      className="text-field"
      id={id}
      aria-label={label}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      inputMode={numeric ? 'decimal' : undefined}
      data-testid={testId}
      placeholder={placeholder}
      spellCheck={false}
      value={typed ?? value}
      onChange={(event) => {
        setTyped(event.target.value);
        props.onType?.(event.target.value);
      }}
      onBlur={commit}
      onKeyDown={onKeyDown}
    />
  );
}

/**
 * VS Code reads every key that reaches the window as a possible command. Text stays here; so do undo and redo while
 * there is typing to undo.
 */
export function keepTyping(event: KeyboardEvent, hasTyping: boolean): void {
  const command = event.ctrlKey || event.metaKey;
  const isUndo = command && ['z', 'y'].includes(event.key.toLowerCase());
  const isText = !command && !event.altKey && event.key.length === 1;
  if (isText || (isUndo && hasTyping)) event.stopPropagation();
}
