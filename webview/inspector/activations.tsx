import { useEffect } from 'react';
import type {
  AttentionShown,
  ChannelPeaks,
  NodeActivations,
  Progress,
  ValueActivations,
} from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { heatColour, HEAT_STEPS } from '../canvas/heat';
import { Button, ProgressBar } from '../common/elements';
import { Icon } from '../common/icon';
import { plain } from '../format';
import { text } from '../strings';
import { Histogram } from './histogram';
import { Section } from './section';

const SECTION = 'activations';

/** What goes in and out of a node on real samples, measured when asked for. */
export function Activations({ id }: { readonly id: string }) {
  const app = useApp();
  const isDesigner = useView((state) => state.session?.view === 'designer');
  const loaded = useView((state) => state.activations[id]);
  const capturing = useView((state) => state.capturing);
  const isRunning = capturing.state !== 'no';
  const isRunningHere = isRunning && capturing.node === id;
  // Asked for by key, it may lie below the edge.
  useEffect(() => {
    if (isRunningHere) document.getElementById(SECTION)?.scrollIntoView({ block: 'start' });
  }, [isRunningHere]);
  if (!isDesigner) return null;
  return (
    <Section id={SECTION} title={text('activations.title')}>
      {loaded?.error != null && <p className="problem problem-error">{loaded.error}</p>}
      {loaded?.value && <Found found={loaded.value} />}
      {isRunningHere ? (
        <Running cancelling={capturing.state === 'cancelling'} progress={capturing.progress} />
      ) : (
        !loaded?.value && (
          <>
            <p className="quiet activations-hint">{text('activations.hint')}</p>
            <Button
              secondary
              icon="watch"
              disabled={isRunning}
              testId="activations-measure"
              onClick={() => app.capturing.measure(id)}
            >
              {text('activations.measure')} <kbd>a</kbd>
            </Button>
          </>
        )
      )}
    </Section>
  );
}

interface RunningProps {
  readonly cancelling: boolean;
  readonly progress: Progress | null;
}

function Running({ cancelling, progress }: RunningProps) {
  const app = useApp();
  const label = text(cancelling ? 'activations.cancelling' : 'activations.running');
  return (
    <div className="activations-running" data-testid="activations-running">
      <ProgressBar fraction={progress?.fraction ?? null} label={label} />
      <p className="quiet">{progress?.detail ?? label}</p>
      <Button
        secondary
        disabled={cancelling}
        testId="activations-cancel"
        onClick={app.capturing.cancel}
      >
        {text('activations.cancel')}
      </Button>
    </div>
  );
}

function Found({ found }: { readonly found: NodeActivations }) {
  const { data, samples, madeUp, values, attentions, skipped } = found;
  return (
    <div data-testid="activations-found">
      <p className="quiet activations-basis">
        <Icon name="watch" /> {text('activations.basis', { count: samples, data })}
      </p>
      {madeUp && (
        <p className="effects-note is-loud" role="note" data-testid="activations-made-up">
          <Icon name="warning" /> <span>{text('activations.madeUp')}</span>
        </p>
      )}
      {values.map((value) => (
        <Value key={`${value.side} ${value.name}`} value={value} />
      ))}
      {attentions.map((attention) => (
        <AttentionMap key={attention.node} attention={attention} />
      ))}
      {skipped.map(({ node, reason }) => (
        <p key={node} className="quiet">
          {text('activations.skipped', { name: node, reason })}
        </p>
      ))}
    </div>
  );
}

function Value({ value }: { readonly value: ValueActivations }) {
  const { name, side, min, max, mean, standardDeviation, histogram, channels } = value;
  const range = text('tensor.range', { min: plain(min), max: plain(max) });
  const moments = text('tensor.moments', {
    mean: plain(mean),
    deviation: plain(standardDeviation),
  });
  return (
    <figure className="statistics activation" data-testid={`activation-${side}-${name}`}>
      <div className="activation-head">
        <span className="value-name" title={name}>
          <small>{text(`activations.${side}`)}</small> {name}
        </span>
        <strong>{range}</strong>
      </div>
      <Histogram
        counts={histogram.counts}
        label={text('activations.histogram', { name, range, moments })}
        logarithmic
      />
      <figcaption>
        {moments}
        {channels && <Channels channels={channels} />}
      </figcaption>
    </figure>
  );
}

/** From here on a channel stands out: the others would have a tenth of the steps of a shared scale. */
const STANDS_OUT = 10;

function Channels({ channels }: { readonly channels: ChannelPeaks }) {
  const { count, peaks, largest, at, median } = channels;
  const ratio = median > 0 ? largest / median : null;
  const isOutlier = ratio === null ? largest > 0 : ratio >= STANDS_OUT;
  const words = text(ratio === null ? 'activations.onlyChannel' : 'activations.channels', {
    ...{ channel: at, count, peak: plain(largest) },
    ...(ratio !== null && { ratio: plain(ratio) }),
  });
  return (
    <div className={`channels${isOutlier ? ' has-outlier' : ''}`} data-testid="channel-peaks">
      <svg
        role="img"
        aria-label={words}
        viewBox={`0 0 ${peaks.length} 20`}
        preserveAspectRatio="none"
      >
        {peaks.map((peak, i) => {
          const height = largest > 0 ? Math.max(0.5, (peak / largest) * 20) : 0.5;
          const isLargest = peak === largest;
          return (
            <rect
              key={i}
              className={isLargest ? 'channel-largest' : undefined}
              x={i + 0.08}
              y={20 - height}
              width={0.84}
              height={height}
            />
          );
        })}
      </svg>
      <span aria-hidden="true">
        {isOutlier && <Icon name="warning" />} {words}
      </span>
    </div>
  );
}

/** Each shade is half of the next: a token that all look at leaves the others something to be told apart by. */
const shade = (share: number, most: number): number =>
  share > 0 ? Math.max(0, HEAT_STEPS - 1 - Math.floor(Math.log2(most / share))) : 0;

/** A cell for each query and key, the shade its share. */
function AttentionMap({ attention }: { readonly attention: AttentionShown }) {
  const { node, heads, queries, keys, rows, columns, mean } = attention;
  const most = Math.max(...mean);
  const cells = Array.from({ length: HEAT_STEPS }, (): string[] => []);
  mean.forEach((share, i) => {
    cells[shade(share, most)]!.push(`M${i % columns} ${Math.floor(i / columns)}h1v1h-1z`);
  });
  return (
    <figure className="statistics attention-map" data-testid={`attention-${node}`}>
      <div className="activation-head">
        <span className="value-name" title={node}>
          <small>{text('activations.attention')}</small> {node}
        </span>
      </div>
      <svg
        role="img"
        aria-label={text('activations.map', {
          ...{ node, heads, queries, keys },
          most: plain(most),
        })}
        viewBox={`0 0 ${columns} ${rows}`}
        shapeRendering="crispEdges"
      >
        {cells.map((squares, step) => (
          <path key={step} d={squares.join('')} fill={heatColour(step)} />
        ))}
      </svg>
      <figcaption>
        {text('activations.mapSizes', { heads, queries, keys, most: plain(most) })}
      </figcaption>
    </figure>
  );
}
