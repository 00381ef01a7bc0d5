import { useRef, type KeyboardEvent } from 'react';
import type { StepSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { Difference } from '../common/amount';
import { Icon } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { counted, text } from '../strings';
import { stepSettings, stepWhere } from './stepWords';
import type { RowHandlers } from './useReorder';

interface StepRowProps {
  readonly step: StepSummary;
  readonly index: number;
  readonly count: number;
  readonly offset: number;
  readonly lifted: boolean;
  readonly handlers: RowHandlers;
}

export function StepRow({ step, index, count, offset, lifted, handlers }: StepRowProps) {
  const app = useApp();
  const selected = useView((state) => state.step === index);
  const button = useRef<HTMLButtonElement>(null);
  useWantedFocus('step', () => button.current?.focus(), String(index));

  const classes = [
    'step',
    `family-${step.family}`,
    selected ? 'is-selected' : '',
    step.enabled ? '' : 'is-off',
    step.error ? 'is-failing' : '',
    lifted ? 'is-lifted' : '',
  ];
  return (
    <li
      className={classes.filter(Boolean).join(' ')}
      style={offset ? { transform: `translateY(${offset}px)` } : undefined}
      data-testid={`step-${index}`}
      {...handlers}
      onKeyDown={(event) => onStepKey(event, app, index, count)}
    >
      <input
        type="checkbox"
        className="checkbox"
        checked={step.enabled}
        aria-label={text('step.enabled', { title: step.title })}
        data-testid={`step-toggle-${index}`}
        onChange={(event) => app.recipe.enable(index, event.target.checked)}
      />
      <button
        ref={button}
        type="button"
        className="step-main"
        aria-current={selected ? 'step' : undefined}
        title={step.pass}
        data-testid={`step-select-${index}`}
        onClick={() => app.selection.step(index)}
      >
        <span className="step-head">
          <span className="step-number">{index + 1}</span>
          <span className="step-title">{step.title}</span>
          {step.enabled && !step.error && <Difference change={step.latencyMs} />}
        </span>
        <span className="step-where">{stepWhere(step)}</span>
        <StepSettings step={step} />
        {step.skipped.length > 0 && (
          <span className="step-skipped">
            <Icon name="info" /> {counted('skipped', step.skipped.length)}
          </span>
        )}
        {step.error && (
          <span className="step-error" role="alert">
            <Icon name="error" /> {step.error}
          </span>
        )}
      </button>
      <IconButton
        icon="flame"
        label={text('effects.measureTitle')}
        testId={`step-sensitivity-${index}`}
        skipTab
        onClick={() => app.sensing.show(index)}
      />
      <IconButton
        icon="trash"
        label={text('step.remove', { title: step.title })}
        keys={text('key.delete')}
        testId={`step-remove-${index}`}
        skipTab
        onClick={() => app.recipe.remove(index)}
      />
    </li>
  );
}

function StepSettings({ step }: { readonly step: StepSummary }) {
  const settings = stepSettings(step);
  return settings ? <span className="step-where">{settings}</span> : null;
}

/** Arrows walk, Alt and arrows carry, Space switches, Delete removes. */
function onStepKey(
  event: KeyboardEvent,
  app: ReturnType<typeof useApp>,
  index: number,
  count: number,
): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const isBox = (event.target as Element).matches('input');
  if (step !== undefined && event.altKey) app.recipe.move(index, index + step);
  else if (step !== undefined && !isBox) walk(app, index + step, count);
  else if (event.key === ' ' && !isBox) {
    const { enabled } = app.store.get().design!.recipe!.steps[index]!;
    app.recipe.enable(index, !enabled);
  } else if (event.key === 'Delete') app.recipe.remove(index);
  else if (event.key === 'Enter' && !isBox) {
    app.selection.step(index);
    app.store.set({ focus: { on: 'parameter' } });
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function walk(app: ReturnType<typeof useApp>, to: number, count: number): void {
  if (to < 0 || to >= count) return;
  app.selection.step(to);
  app.store.set({ focus: { on: 'step', id: String(to) } });
}
