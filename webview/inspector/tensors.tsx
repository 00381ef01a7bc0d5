import type { TensorStatistics, TensorSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { exact, percent, plain, quantity } from '../format';
import { text } from '../strings';
import { Histogram } from './histogram';
import { Section } from './section';

/** Weights; their statistics are read from the file when asked for. */
export function Tensors({ tensors }: { readonly tensors: readonly TensorSummary[] }) {
  if (tensors.length === 0) return null;
  return (
    <Section id="tensors" title={text('node.tensors')} count={tensors.length}>
      <ul className="tensors">
        {tensors.map((tensor) => (
          <Tensor key={tensor.name} tensor={tensor} />
        ))}
      </ul>
    </Section>
  );
}

function Tensor({ tensor }: { readonly tensor: TensorSummary }) {
  const app = useApp();
  const { name, type, shape, bytes } = tensor;
  const loaded = useView((state) => state.tensors[name]);
  return (
    <li>
      <span className="value-name" title={name}>
        {name}
      </span>
      <small>
        {type} {shape} · {quantity(bytes, 'bytes')}
      </small>
      {!loaded && (
        <button
          type="button"
          className="link"
          data-testid={`statistics-${name}`}
          onClick={() => app.details.tensor(name)}
        >
          {text('tensor.show')}
        </button>
      )}
      {loaded?.error != null && <p className="problem problem-error">{loaded.error}</p>}
      {loaded && !loaded.value && loaded.error === null && <small>{text('tensor.reading')}</small>}
      {loaded?.value && <Statistics statistics={loaded.value} />}
    </li>
  );
}

function Statistics({ statistics }: { readonly statistics: TensorStatistics }) {
  const { name, elements, min, max, mean, standardDeviation, zeros, histogram } = statistics;
  const range = text('tensor.range', { min: plain(min), max: plain(max) });
  return (
    <figure className="statistics" data-testid={`histogram-${name}`}>
      <Histogram counts={histogram} label={text('tensor.histogram', { range })} />
      <figcaption>
        {range} · {text('tensor.zeros', { share: percent(zeros) })}
        <br />
        {text('tensor.moments', { mean: plain(mean), deviation: plain(standardDeviation) })} ·{' '}
        {text('tensor.elements', { count: exact(elements) })}
      </figcaption>
    </figure>
  );
}
