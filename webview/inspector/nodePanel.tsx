import { useEffect } from 'react';
import type { NodeCost, NodeDetails } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Amount, Difference } from '../common/amount';
import { exact } from '../format';
import { counted, text } from '../strings';
import { Activations } from './activations';
import { Row, Section } from './section';
import { Tensors } from './tensors';
import { Values } from './values';
import { Why } from './why';

/** Everything known of one node, block or stack. */
export function NodePanel({ id }: { readonly id: string }) {
  const app = useApp();
  const loaded = useView((state) => state.details[id]);
  const node = useView((state) =>
    state.design?.view.nodes.find((candidate) => candidate.id === id),
  );
  useEffect(() => app.details.node(id), [app, id, loaded]);
  const details = loaded?.value;
  return (
    <div className="panel" data-testid="node-panel">
      <header className="panel-head">
        <h2 title={id}>{details?.title ?? node?.title ?? id}</h2>
        <p className="quiet">
          {details ? kindWords(details) : (node?.subtitle ?? '')}
          {(details?.op ?? null) !== null && (
            <>
              {' · '}
              <button
                type="button"
                className="link"
                data-testid="go-to-text"
                onClick={() => void app.host.request('open', { what: 'onnxText', node: id })}
              >
                {text('node.goToText')}
              </button>
            </>
          )}
        </p>
      </header>
      {loaded?.error != null && <p className="problem problem-error">{loaded.error}</p>}
      {details && <Body details={details} />}
    </div>
  );
}

/** `MatMul`, or how many layers: a stack says its equal blocks in its title. */
function kindWords({ op, layers }: NodeDetails): string {
  return op ?? counted('layers', layers);
}

function Body({ details }: { readonly details: NodeDetails }) {
  const { attributes, cost, inputs, outputs, scope, tensors, weightBytes } = details;
  return (
    <>
      <dl className="sheet">
        <Shapes id={details.id} />
        {scope !== '' && <Row name={text('node.scope')}>{scope}</Row>}
        <Row name={text('metric.macs')}>
          <Amount change={cost.macs} unit="macs" reason={cost.unknown} /> <Exact cost={cost} />
        </Row>
        <Row name={text('metric.parameters')}>
          <Amount change={cost.parameters} unit="count" />
        </Row>
        <Row name={text('node.weights')}>
          <Amount change={weightBytes} unit="bytes" />
        </Row>
        <Row name={text('metric.latency')}>
          <Amount change={cost.latencyMs} unit="time" reason={cost.unknown} />{' '}
          <Difference change={cost.latencyMs} /> <small>{text('number.modelled')}</small>
        </Row>
        <Row name={text('metric.energy')}>
          {cost.energyMj.after === null && cost.latencyMs.after !== null ? (
            <span className="quiet">{text('totals.noEnergy')}</span>
          ) : (
            <Amount change={cost.energyMj} unit="energy" />
          )}
        </Row>
        <Row name={text('metric.activations')}>
          <Amount change={cost.activationBytes} unit="bytes" />
        </Row>
        {cost.bound !== '' && <Row name={text('node.bound')}>{cost.bound}</Row>}
      </dl>
      <Why why={details.why} unknown={cost.unknown} />
      <Values title={text('node.inputs')} id="inputs" values={inputs.map(inputLink)} />
      <Values title={text('node.outputs')} id="outputs" values={outputs.map(outputLink)} />
      {attributes.length > 0 && (
        <Section id="attributes" title={text('node.attributes')} count={attributes.length}>
          <dl className="sheet">
            {attributes.map(({ name, value }) => (
              <Row key={name} name={name}>
                <code>{value}</code>
              </Row>
            ))}
          </dl>
        </Section>
      )}
      <Activations id={details.id} />
      <Tensors tensors={tensors} />
    </>
  );
}

/** MACs are counted, not modelled: all digits in the tooltip. */
function Exact({ cost: { macs } }: { readonly cost: NodeCost }) {
  if (macs.after === null || macs.partial || macs.estimated) return null;
  return <small title={exact(macs.after)}>{text('number.exact')}</small>;
}

function Shapes({ id }: { readonly id: string }) {
  const node = useView((state) =>
    state.design?.view.nodes.find((candidate) => candidate.id === id),
  );
  if (!node?.shape) return null;
  return (
    <Row name={text('node.shape')}>
      {node.shapeBefore !== null && (
        <>
          <del>{node.shapeBefore}</del>{' '}
        </>
      )}
      {node.shape}
    </Row>
  );
}

function inputLink({ name, type, shape, constant, from }: NodeDetails['inputs'][number]) {
  return { name, type, shape, constant, links: from === null ? [] : [from] };
}

function outputLink({ name, type, shape, to }: NodeDetails['outputs'][number]) {
  return { name, type, shape, constant: false, links: to };
}
