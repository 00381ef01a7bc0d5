import { Button } from '../common/elements';
import { IconButton } from '../common/iconButton';
import { text } from '../strings';
import type { Field } from './fields';
import { NumberEntry } from './numberEntry';
import { asNumber, type FieldProps } from './parameterForm';

interface ListFieldProps extends FieldProps {
  readonly field: Extract<Field, { kind: 'list' }>;
  /** Selectors of the step, to name the entries by when there is one for each. */
  readonly at: readonly string[];
}

/** One number per site, or one for all. */
export function ListField(props: ListFieldProps) {
  const { id, name, title, value, helpId, field, at, onMove, onSet } = props;
  const entries = Array.isArray(value) ? value.map(asNumber) : [asNumber(value)];
  const isList = Array.isArray(value);
  const fallback = entries.at(-1) ?? field.item.max ?? 0;

  function withEntry(index: number, entry: unknown): unknown {
    if (!isList) return entry;
    return entries.map((old, place) => (place === index ? entry : old));
  }

  function without(index: number) {
    const rest = entries.filter((_, place) => place !== index);
    onSet(rest.length === 1 && field.single ? rest[0] : rest);
  }

  return (
    <div role="group" aria-label={title}>
      {isList && <div className="parameter-title">{title}</div>}
      {entries.map((entry, index) => (
        <NumberEntry
          key={index}
          id={isList ? `${id}-${index}` : id}
          name={name}
          title={isList ? entryTitle(index, entries.length, at) : title}
          testId={isList ? `parameter-${name}-${index}` : `parameter-${name}`}
          value={entry}
          helpId={helpId}
          number={entry}
          field={field.item}
          onMove={(moving) => onMove(withEntry(index, moving))}
          onSet={(chosen) => onSet(withEntry(index, chosen))}
          aside={
            isList && entries.length > 1 ? (
              <IconButton
                icon="remove"
                label={text('field.removeEntry', { number: index + 1 })}
                testId={`parameter-${name}-remove-${index}`}
                onClick={() => without(index)}
              />
            ) : null
          }
        />
      ))}
      <Button
        secondary
        icon="add"
        testId={`parameter-${name}-add`}
        onClick={() => onSet([...entries, fallback])}
      >
        {text(isList ? 'field.addEntry' : 'field.perSite')}
      </Button>
    </div>
  );
}

function entryTitle(index: number, count: number, at: readonly string[]): string {
  const selector = at.length === count ? at[index] : undefined;
  return selector ?? text('field.entry', { number: index + 1 });
}
