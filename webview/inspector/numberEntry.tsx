import { useRef, useState, type ReactNode } from 'react';
import { TextField } from '../common/textField';
import { text } from '../strings';
import { entryText, parseEntry, tidy, type NumberField, type SliderField } from './fields';
import type { FieldProps } from './parameterForm';

interface NumberEntryProps extends FieldProps {
  readonly field: SliderField | NumberField;
  readonly number: number | null;
  /** Test id of the slider; the field's is this with `-field`. */
  readonly testId?: string;
  readonly aside?: ReactNode;
}

/** A number: a field to type in and, where it has both ends, a slider that previews while it moves. */
export function NumberEntry(props: NumberEntryProps) {
  const { id, name, title, number, field, helpId, onSet, aside } = props;
  const [invalid, setInvalid] = useState(false);
  const testId = props.testId ?? `parameter-${name}`;
  const percent = field.kind === 'slider' && field.ratio;
  const isSlider = field.kind === 'slider';

  function commit(typed: string) {
    const value = parseEntry(typed, field);
    setInvalid(value === null);
    if (value !== null) onSet(value);
  }

  return (
    <>
      <div className="parameter-head">
        <label htmlFor={id}>{title}</label>
        <span className="parameter-number">
          <TextField
            id={isSlider ? `${id}-field` : id}
            testId={isSlider ? `${testId}-field` : testId}
            label={percent ? text('field.percent', { title }) : title}
            value={number === null ? '' : entryText(number, field)}
            numeric
            invalid={invalid}
            describedBy={helpId}
            onType={() => setInvalid(false)}
            onCommit={commit}
          />
          {percent && <span className="parameter-unit">%</span>}
          {aside}
        </span>
      </div>
      {isSlider && <Slider {...props} field={field} testId={testId} />}
      {invalid && (
        <p className="problem problem-error" role="alert">
          {bounds(field)}
        </p>
      )}
    </>
  );
}

interface SliderProps extends NumberEntryProps {
  readonly field: SliderField;
}

function Slider({ id, title, number, field, helpId, testId, onMove, onSet }: SliderProps) {
  const { min, max, step, ratio } = field;
  const moving = useRef<number | null>(null);
  const value = number ?? min;
  const filled = max > min ? ((value - min) / (max - min)) * 100 : 0;

  function settle() {
    if (moving.current === null) return;
    const chosen = moving.current;
    moving.current = null;
    onSet(chosen);
  }

  return (
    <input
      type="range"
      className="slider"
      id={id}
      data-testid={testId}
      aria-label={title}
      aria-valuetext={ratio ? `${entryText(value, field)} %` : undefined}
      aria-describedby={helpId}
      min={min}
      max={max}
      step={step}
      value={value}
      style={{ '--filled': `${filled}%` } as React.CSSProperties}
      onChange={(event) => {
        moving.current = tidy(event.target.valueAsNumber);
        onMove(moving.current);
      }}
      onPointerUp={settle}
      onKeyUp={settle}
      onBlur={settle}
    />
  );
}

function bounds(field: SliderField | NumberField): string {
  const { min, max } = field;
  const shown = (value: number) => entryText(value, field);
  if (min !== null && max !== null)
    return text('field.between', { min: shown(min), max: shown(max) });
  if (min !== null) return text('field.atLeast', { min: shown(min) });
  if (max !== null) return text('field.atMost', { max: shown(max) });
  return text('field.number');
}
