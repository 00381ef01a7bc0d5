import type { TargetInfo } from '../../language/protocol';
import { useView } from '../app/context';
import { TextField } from '../common/textField';
import { text } from '../strings';
import type { Field } from './fields';
import type { FieldProps } from './parameterForm';

interface PlainFieldProps extends FieldProps {
  readonly field: Exclude<Field, { kind: 'list' | 'slider' | 'number' }>;
}

/** A choice, a switch, a target or a text. */
export function PlainField({ id, name, title, value, helpId, field, onSet }: PlainFieldProps) {
  const testId = `parameter-${name}`;
  if (field.kind === 'checkbox')
    return (
      <label className="parameter-check">
        <input
          type="checkbox"
          className="checkbox"
          id={id}
          data-testid={testId}
          checked={value === true}
          onChange={(event) => onSet(event.target.checked)}
        />
        {title}
      </label>
    );
  return (
    <div className="parameter-head parameter-wide">
      <label htmlFor={id}>{title}</label>
      {field.kind === 'text' ? (
        <TextField
          id={id}
          testId={testId}
          label={title}
          value={textOf(value)}
          describedBy={helpId}
          onCommit={(typed) => onSet(valueOf(typed, value))}
        />
      ) : (
        <select
          id={id}
          className="select"
          data-testid={testId}
          aria-describedby={helpId}
          value={typeof value === 'string' || typeof value === 'number' ? value : ''}
          onChange={(event) => onSet(chosen(field, event.target.value))}
        >
          {field.kind === 'select' ? <Options options={field.options} /> : <Targets />}
        </select>
      )}
    </div>
  );
}

/** An option as the schema gives it: the page knows only text. */
function chosen(field: PlainFieldProps['field'], typed: string): string | number {
  const options = field.kind === 'select' ? field.options : [];
  return options.find((option) => String(option) === typed) ?? typed;
}

function Options({ options }: { readonly options: readonly (string | number)[] }) {
  return options.map((option) => (
    <option key={option} value={option}>
      {option}
    </option>
  ));
}

function Targets() {
  const targets = useView((state) => state.targets);
  const kinds = [...new Set(targets.map(({ kind }) => kind))];
  return (
    <>
      <option value="" disabled>
        {text('pick.target')}
      </option>
      {kinds.map((kind) => (
        <optgroup key={kind} label={text(`kind.${kind}`)}>
          {targets.filter((target) => target.kind === kind).map(targetOption)}
        </optgroup>
      ))}
    </>
  );
}

function targetOption({ id, title }: TargetInfo) {
  return (
    <option key={id} value={id}>
      {title}
    </option>
  );
}

/** A list is written with commas between its entries. */
function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
}

function valueOf(typed: string, before: unknown): unknown {
  if (!Array.isArray(before)) return typed;
  return typed
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
