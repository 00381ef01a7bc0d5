import { useRef } from 'react';
import { BOUNDS } from '../../language/drawing/marks';
import type { Roofline } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { Icon } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { text, type StringKey } from '../strings';
import { Chart } from './chart';
import { Families } from './families';
import { LayerTable } from './layerTable';
import { Mark } from './mark';

/** More would cover each other; the cheapest are left out, and it is said. */
const MOST_LAYERS = 400;

/** Under the totals: where the layers stand under the roofs of the shown target, and what each kind of layer takes. */
export function RooflinePanel() {
  const app = useApp();
  const loaded = useView((state) => state.roofline);
  const asTable = useView((state) => state.rooflineTable);
  const roofline = loaded?.value;
  const isDrawn = roofline?.none === null && roofline.layers.length > 0;
  return (
    <section
      className="roofline"
      aria-label={text('roofline.title')}
      data-testid="roofline"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        app.roofline.toggle();
      }}
    >
      <header className="roofline-head">
        <h2>{text('roofline.title')}</h2>
        {roofline && <span className="quiet">{roofline.title}</span>}
        <small>{text('number.modelled')}</small>
        {isDrawn && !asTable && <Legend moved={roofline.layers.some(({ before }) => before)} />}
        <span className="roofline-tools">
          {isDrawn && (
            <span className="segments" role="group" aria-label={text('roofline.as')}>
              {[false, true].map((table) => (
                <button
                  key={String(table)}
                  type="button"
                  aria-pressed={table === asTable}
                  data-testid={table ? 'roofline-as-table' : 'roofline-as-chart'}
                  onClick={() => app.roofline.asTable(table)}
                >
                  {text(table ? 'roofline.table' : 'roofline.chart')}
                </button>
              ))}
            </span>
          )}
          <IconButton
            icon="close"
            label={text('roofline.close')}
            testId="roofline-close"
            onClick={app.roofline.toggle}
          />
        </span>
      </header>
      {loaded?.error != null && <Words problem={loaded.error} />}
      {roofline && (
        <div className="roofline-body">
          {isDrawn ? (
            <Drawn roofline={roofline} asTable={asTable} />
          ) : (
            <Words roofline={roofline} />
          )}
          <Families roofline={roofline} />
        </div>
      )}
    </section>
  );
}

interface DrawnProps {
  readonly roofline: Roofline;
  readonly asTable: boolean;
}

function Drawn({ roofline, asTable }: DrawnProps) {
  const layers = roofline.layers.slice(0, MOST_LAYERS);
  const rest = roofline.layers.length - layers.length;
  const notes = [
    rest > 0 ? text('roofline.rest', { count: rest }) : '',
    // Without a bandwidth for them, activations bound no layer: points may lie above the slope of weights.
    roofline.memory.some(({ name }) => name.includes('weights')) &&
    roofline.memory.every(({ name }) => !name.includes('activations'))
      ? text('roofline.weightsOnly')
      : '',
  ].filter(Boolean);
  return (
    <div className="roofline-drawn">
      {asTable ? <LayerTable layers={layers} /> : <Chart roofline={roofline} layers={layers} />}
      {notes.length > 0 && <p className="quiet">{notes.join(' ')}</p>}
    </div>
  );
}

interface WordsProps {
  readonly roofline?: Roofline;
  readonly problem?: string;
}

/** Why there is no chart; takes the keyboard in its place. */
function Words({ roofline, problem }: WordsProps) {
  const words = useRef<HTMLParagraphElement>(null);
  useWantedFocus('roofline', () => words.current?.focus());
  return (
    <p
      ref={words}
      tabIndex={-1}
      className={problem === undefined ? 'roofline-none' : 'roofline-none problem problem-error'}
      data-testid="roofline-none"
    >
      <Icon name={problem === undefined ? 'info' : 'error'} />{' '}
      {problem ?? roofline?.none ?? text('roofline.empty')}
    </p>
  );
}

const BOUND_KEYS = [
  'bound.compute',
  'bound.activations',
  'bound.weights',
  'bound.overhead',
] as const satisfies readonly StringKey[];

function Legend({ moved }: { readonly moved: boolean }) {
  return (
    <ul className="roofline-legend" aria-label={text('roofline.legend')}>
      {BOUNDS.map((bound, i) => (
        <li key={bound}>
          <svg width="12" height="12" viewBox="-6 -6 12 12" aria-hidden="true">
            <Mark bound={bound} radius={4} />
          </svg>{' '}
          {text(BOUND_KEYS[i]!)}
        </li>
      ))}
      <li className="quiet">{text('roofline.size')}</li>
      {moved && (
        <li className="quiet">
          <svg width="12" height="12" viewBox="-6 -6 12 12" aria-hidden="true">
            <g className="roofline-was">
              <Mark bound="compute" radius={4} />
            </g>
          </svg>{' '}
          {text('roofline.was')}
        </li>
      )}
    </ul>
  );
}
