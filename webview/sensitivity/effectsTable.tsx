import { useEffect, useMemo, useRef, type KeyboardEvent } from 'react';
import type { StepSensitivity, StepSummary } from '../../language/protocol';
import type { App } from '../app/app';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { heatColour } from '../canvas/heat';
import { IconButton } from '../common/iconButton';
import { text } from '../strings';
import { bitsElsewhere, moreBits } from './bits';
import { amountText, effectText, heatSteps } from './effects';

const NO_STEPS: readonly StepSummary[] = [];

/** The layers, the most fragile first. Arrows walk along them and show each on the canvas. */
export function EffectsTable({ found }: { readonly found: StepSensitivity }) {
  const app = useApp();
  const current = useView((state) => state.effectRow);
  const worked = useView((state) => state.design?.effects?.worked ?? null);
  const steps = useMemo(() => heatSteps(found), [found]);
  const recipe = useView((state) => state.design?.recipe?.steps) ?? NO_STEPS;
  const step = useView((state) => state.design?.effects?.step ?? null);
  const pass = useView((state) => state.passes.find(({ id }) => id === found.pass));
  const bits = step === null || !recipe[step] ? null : moreBits(pass, recipe[step]);
  const outWords = (row: number): string => {
    const elsewhere = step === null ? null : bitsElsewhere(recipe, step, found.origins[row]!);
    return elsewhere === null ? text('effects.isOut') : text('effects.bits', { bits: elsewhere });
  };
  const body = useRef<HTMLTableSectionElement>(null);
  useWantedFocus('effects', () => {
    const row = app.store.get().effectRow;
    (body.current?.rows[row] ?? body.current?.rows[0])?.focus();
  });
  // An exception may part a folded repeat: the layer is shown where it is drawn now.
  const drawn = useView((state) => state.design?.effects?.shown[state.effectRow]);
  useEffect(() => {
    const hasKeyboard = body.current?.contains(document.activeElement) ?? false;
    if (drawn != null && hasKeyboard) app.sensing.walk(app.store.get().effectRow);
  }, [app, drawn]);
  const { judge, byMetric, layers, title } = found;
  return (
    <table
      className={`effects-table${bits === null ? '' : ' has-bits'}`}
      role="grid"
      aria-label={text('effects.title', { title })}
      data-testid="effects-table"
    >
      <thead>
        <tr>
          <th scope="col">{text('effects.layer')}</th>
          <th
            scope="col"
            className="number"
            title={byMetric ? undefined : text('effects.errorTitle')}
          >
            {byMetric ? judge : text('effects.error')}
          </th>
          <th
            scope="col"
            className="number"
            aria-sort="ascending"
            title={text(byMetric ? 'effects.dropTitle' : 'effects.sqnrTitle')}
          >
            {text(byMetric ? 'effects.drop' : 'effects.sqnr')}
          </th>
          <td />
        </tr>
      </thead>
      <tbody ref={body} onKeyDown={(event) => onKey(event, app, layers.length)}>
        {layers.map((layer, row) => {
          const isIn = worked?.[row] ?? true;
          const words = { name: layer.node, title };
          return (
            <tr
              key={`${row} ${layer.node}`}
              className={isIn ? '' : 'is-out'}
              tabIndex={row === current ? 0 : -1}
              aria-selected={row === current}
              data-testid={`effect-${row}`}
              data-layer={layer.node}
              onFocus={(event) => {
                if (event.target === event.currentTarget) app.sensing.walk(row);
              }}
            >
              <th scope="row" title={layer.node}>
                <span
                  className={`effect-heat${isIn ? '' : ' heat-unknown'}`}
                  style={{ background: heatColour(isIn ? steps[row]! : null) }}
                />
                <span className="effect-name">
                  <bdi>{layer.node}</bdi>
                </span>
                <small>{isIn ? layer.op : outWords(row)}</small>
              </th>
              <td className="number">{amountText(layer)}</td>
              <td className="number">{effectText(layer)}</td>
              <td>
                {bits !== null && isIn && (
                  <IconButton
                    icon="arrow-up"
                    label={text('effects.raise', { name: layer.node, bits })}
                    keys="+"
                    testId={`effect-raise-${row}`}
                    skipTab
                    onClick={() => {
                      app.store.set({ effectRow: row });
                      app.sensing.raise();
                    }}
                  />
                )}
                <IconButton
                  icon={isIn ? 'remove' : 'add'}
                  label={text(isIn ? 'effects.exclude' : 'effects.include', words)}
                  keys={text('key.delete')}
                  testId={`effect-exclude-${row}`}
                  skipTab
                  onClick={() => {
                    app.store.set({ effectRow: row });
                    app.sensing.exclude();
                  }}
                />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** Arrows walk, the right one opens what hides the layer, Delete and Enter leave it out or take it in again, + gives it more bits. */
function onKey(event: KeyboardEvent<HTMLTableSectionElement>, app: App, count: number): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { effectRow } = app.store.get();
  const to = {
    ArrowDown: effectRow + 1,
    ArrowUp: effectRow - 1,
    PageDown: effectRow + 10,
    PageUp: effectRow - 10,
    Home: 0,
    End: count - 1,
  }[event.key];
  if (to !== undefined) event.currentTarget.rows[Math.max(0, Math.min(count - 1, to))]?.focus();
  else if (event.key === 'ArrowRight') app.sensing.walk(effectRow, true);
  else if (event.key === '+' || event.key === '=') app.sensing.raise();
  else if (event.key === 'Delete' || event.key === 'Enter') app.sensing.exclude();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
