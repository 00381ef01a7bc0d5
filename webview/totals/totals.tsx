import { useRef } from 'react';
import type { Change, TargetTotals } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { Amount, Difference } from '../common/amount';
import { Icon } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { QuickPick } from '../common/quickPick';
import { targetItems } from '../designer/pickers';
import { exact, quantity, type Unit } from '../format';
import { RooflinePanel } from '../roofline/rooflinePanel';
import { text } from '../strings';
import { Budget } from './budget';

/** What the model costs before and after, on every chosen target. */
export function Totals() {
  const totals = useView((state) => state.design?.totals) ?? [];
  const recipe = useView((state) => state.design?.recipe ?? null);
  const target = useView((state) => state.target);
  const hasRoofline = useView((state) => state.rooflineOpen);
  return (
    <section className="totals" aria-label={text('totals.label')} data-testid="totals">
      <Counts />
      <div className="totals-scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{text('totals.target')}</th>
              <th scope="col" colSpan={2}>
                {text('metric.latency')}
              </th>
              <th scope="col">{text('metric.energy')}</th>
              <th scope="col">{text('totals.memory')}</th>
              <th scope="col">{text('totals.bound')}</th>
              <th scope="col">{text('totals.budget')}</th>
            </tr>
          </thead>
          <tbody>
            {totals.map((row) => (
              <TargetRow
                key={row.target}
                row={row}
                shown={row.target === target}
                maxMs={recipe?.budget?.target === row.target ? recipe.budget.maxMs : null}
                chosen={recipe?.targets ?? []}
              />
            ))}
          </tbody>
        </table>
      </div>
      {hasRoofline && <RooflinePanel />}
    </section>
  );
}

interface TargetRowProps {
  readonly row: TargetTotals;
  readonly shown: boolean;
  readonly maxMs: number | null;
  /** Targets named in the recipe. */
  readonly chosen: readonly string[];
}

function TargetRow({ row, shown, maxMs, chosen }: TargetRowProps) {
  const app = useApp();
  const { target, title, latencyMs, energyMj, peakMemoryBytes, bound, basis, warnings } = row;
  const { confidence } = row;
  const removable = chosen.includes(target) && chosen.length > 1;
  return (
    <tr
      className={shown ? 'is-shown' : ''}
      data-testid={`totals-${target}`}
      onClick={() => app.setTarget(target)}
    >
      <th scope="row" className="totals-name">
        <button
          type="button"
          className="totals-target"
          aria-current={shown ? 'true' : undefined}
          title={text('totals.show', { target: title })}
          onClick={(event) => {
            event.stopPropagation();
            app.setTarget(target);
          }}
        >
          {title}
        </button>
        {warnings.length > 0 && (
          <span
            className="warning"
            role="img"
            aria-label={warnings.join('\n')}
            title={warnings.join('\n')}
          >
            <Icon name="warning" />
          </span>
        )}
        {removable && (
          <IconButton
            icon="close"
            label={text('totals.remove', { target: title })}
            testId={`totals-remove-${target}`}
            onClick={() => app.recipe.setTargets(chosen.filter((id) => id !== target))}
          />
        )}
        <small className="totals-basis" title={basis}>
          {basis}
        </small>
      </th>
      <td className="totals-number">
        <Amount change={latencyMs} unit="time" />
        <Confidence confidence={confidence} />
      </td>
      <td className="totals-difference">
        <Difference change={latencyMs} />
      </td>
      <td className="totals-number">
        {energyMj.after === null && latencyMs.after !== null ? (
          <span className="quiet" title={text('totals.noEnergy')}>
            <span aria-hidden="true">–</span>
            <span className="hidden">{text('totals.noEnergy')}</span>
          </span>
        ) : (
          <Amount change={energyMj} unit="energy" />
        )}
      </td>
      <td className="totals-number">
        <Amount change={peakMemoryBytes} unit="bytes" />
      </td>
      <td>
        {bound || '–'}
        <Resources row={row} />
        <Pipeline row={row} />
      </td>
      <td>
        {maxMs === null ? (
          <span className="quiet">{text('totals.noBudget')}</span>
        ) : (
          <Budget ms={latencyMs.after} maxMs={maxMs} />
        )}
      </td>
    </tr>
  );
}

/** Where a measurement would most likely lie, and whether anybody checked for networks of this kind. */
function Confidence({ confidence }: { readonly confidence: TargetTotals['confidence'] }) {
  const { level, lowMs, highMs, note } = confidence;
  const isDoubtful = level === 'not validated';
  const known = lowMs !== null && highMs !== null;
  if (!known && !isDoubtful) return null;
  return (
    <small
      className={`confidence${isDoubtful ? ' is-doubtful' : ''}`}
      data-level={level}
      title={[known ? text('totals.likelyTitle') : '', note].filter(Boolean).join('\n')}
    >
      {isDoubtful && <Icon name="question" />}
      {known &&
        text('totals.likely', { low: quantity(lowMs, 'time'), high: quantity(highMs, 'time') })}
      {isDoubtful && (known ? ` · ${text('totals.notValidated')}` : text('totals.notValidated'))}
    </small>
  );
}

function Resources({ row: { resources } }: { readonly row: TargetTotals }) {
  if (!resources) return null;
  const { dsp, lut, bram } = resources;
  return (
    <small className="resources">
      {text('totals.resources', { dsp: exact(dsp), lut: exact(lut), bram: exact(bram) })}
    </small>
  );
}

function Pipeline({ row: { pipeline } }: { readonly row: TargetTotals }) {
  if (!pipeline) return null;
  return (
    <small className="resources">
      {text('totals.pipeline', {
        latency: quantity(pipeline.latencyMs, 'time'),
        interval: quantity(pipeline.intervalMs, 'time'),
      })}
    </small>
  );
}

/** What holds on any target, and a way to add one. */
function Counts() {
  const app = useApp();
  const counts = useView((state) => state.design?.counts);
  const recipe = useView((state) => state.design?.recipe ?? null);
  const targets = useView((state) => state.targets);
  const adding = useView((state) => state.popup?.kind === 'addTarget');
  if (!counts) return null;
  const close = () => app.store.set({ popup: null });
  return (
    <div className="counts">
      <Count name={text('metric.macs')} change={counts.macs} unit="macs" />
      <Count name={text('metric.parameters')} change={counts.parameters} unit="count" />
      <Count name={text('node.weights')} change={counts.weightBytes} unit="bytes" />
      <RooflineButton />
      {recipe && (
        <div className="picker picker-up">
          <IconButton
            icon="add"
            label={text('totals.add')}
            testId="add-target"
            onClick={() => app.store.set({ popup: { kind: 'addTarget' } })}
          />
          {adding && (
            <QuickPick
              items={targetItems(
                targets.filter(({ id }) => !recipe.targets.includes(id)),
                null,
              )}
              label={text('totals.add')}
              testId="add-target-list"
              onPick={(id) => {
                close();
                app.recipe.setTargets([...recipe.targets, id]);
              }}
              onClose={close}
            />
          )}
        </div>
      )}
    </div>
  );
}

function RooflineButton() {
  const app = useApp();
  const open = useView((state) => state.rooflineOpen);
  const button = useRef<HTMLButtonElement>(null);
  useWantedFocus('rooflineButton', () => button.current?.focus());
  return (
    <button
      ref={button}
      type="button"
      className="roofline-button"
      aria-expanded={open}
      title={`${text('roofline.open')} (r)`}
      data-testid="roofline-button"
      onClick={app.roofline.toggle}
    >
      <Icon name="graph-scatter" /> {text('roofline.title')}
    </button>
  );
}

interface CountProps {
  readonly name: string;
  readonly change: Change;
  readonly unit: Unit;
}

function Count({ name, change, unit }: CountProps) {
  return (
    <span className="count">
      <span className="quiet">{name}</span> <Amount change={change} unit={unit} />{' '}
      <Difference change={change} />
    </span>
  );
}
