import type { ValueSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { text } from '../strings';
import { Row, Section } from './section';
import { NodeLink } from './values';

/** The model itself, while nothing is chosen. */
export function ModelOverview() {
  const app = useApp();
  const model = useView((state) => state.design?.model);
  if (!model) return null;
  return (
    <div className="panel" data-testid="model-panel">
      <header className="panel-head">
        <h2 title={model.path}>{model.name}</h2>
        <p className="quiet">
          {text('model.nothing')}{' '}
          <button
            type="button"
            className="link"
            onClick={() => void app.host.request('open', { what: 'onnxText' })}
          >
            {text('model.text')}
          </button>
        </p>
      </header>
      <dl className="sheet">
        <Row name={text('model.producer')}>{model.producer || '–'}</Row>
        <Row name={text('model.versions')}>
          {text('model.opset', { opset: model.opset, ir: model.ir })}
        </Row>
        <Row name={text('model.layers')}>{model.nodes}</Row>
        {Object.entries(model.assumed).map(([symbol, size]) => (
          <Row key={symbol} name={symbol}>
            {size} <small>{text('model.assumed')}</small>
          </Row>
        ))}
      </dl>
      <ValueList id="model-inputs" title={text('node.inputs')} values={model.inputs} />
      <ValueList id="model-outputs" title={text('node.outputs')} values={model.outputs} />
      {model.unknown.length > 0 && (
        <Section id="unknown" title={text('model.unknown')} count={model.unknown.length}>
          <ul className="values">
            {model.unknown.map(({ node, op, reason }) => (
              <li key={node}>
                <NodeLink id={node} />
                <small>
                  {op} · {reason}
                </small>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </div>
  );
}

interface ValueListProps {
  readonly id: string;
  readonly title: string;
  readonly values: readonly ValueSummary[];
}

function ValueList({ id, title, values }: ValueListProps) {
  return (
    <Section id={id} title={title} count={values.length}>
      <ul className="values">
        {values.map(({ name, type, shape }) => (
          <li key={name}>
            <span className="value-name">{name}</span>
            <small>
              {type} {shape}
            </small>
          </li>
        ))}
      </ul>
    </Section>
  );
}
