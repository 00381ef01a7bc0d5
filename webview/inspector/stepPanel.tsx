import type { StepSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { Amount, Difference } from '../common/amount';
import { Button } from '../common/elements';
import { Icon } from '../common/icon';
import { counted, text } from '../strings';
import { ParameterForm } from './parameterForm';
import { Refusals } from './refusals';
import { Row, Section } from './section';

/** The form of one step: its parameters, where it works, and what it left alone. */
export function StepPanel({ step, index }: { readonly step: StepSummary; readonly index: number }) {
  const app = useApp();
  const pass = useView((state) => state.passes.find(({ id }) => id === step.pass));
  return (
    <div className={`panel family-${step.family}`} data-testid="step-panel">
      <header className="panel-head">
        <h2>
          <span className="family-dot" /> {step.title}
        </h2>
        <p className="quiet">{text('step.of', { number: index + 1, pass: step.pass })}</p>
      </header>
      {step.error && (
        <p className="problem problem-error">
          <Icon name="error" /> {step.error}
        </p>
      )}
      <dl className="sheet">
        <Row name={text('step.latency')}>
          <Amount change={step.latencyMs} unit="time" /> <Difference change={step.latencyMs} />
        </Row>
      </dl>
      {pass && <ParameterForm pass={pass} step={step} index={index} />}
      <div className="buttons step-actions">
        <Button
          secondary
          icon="flame"
          testId="measure-sensitivity"
          title={text('effects.measureTitle')}
          onClick={() => app.sensing.show(index)}
        >
          {text('effects.measure')}
        </Button>
      </div>
      <Where step={step} index={index} />
      <Refusals id="skipped" title={text('step.skipped')} refusals={step.skipped} />
      {pass && (
        <Section id="about" title={text('step.about')}>
          <p>{pass.summary}</p>
          {pass.paper && (
            <p className="quiet">
              {pass.paper.authors}: <cite>{pass.paper.title}</cite>, {pass.paper.venue}
            </p>
          )}
        </Section>
      )}
    </div>
  );
}

function Where({ step, index }: { readonly step: StepSummary; readonly index: number }) {
  const app = useApp();
  const selected = useView((state) => state.selected);
  return (
    <Section id="where" title={text('step.where')}>
      <ul className="selectors">
        {(step.at ?? [text('step.everywhere')]).map((selector) => (
          <li key={selector}>
            <code>{selector}</code>
          </li>
        ))}
        {step.except.map((selector) => (
          <li key={selector}>
            {text('step.except', { at: '' })} <code>{selector}</code>
          </li>
        ))}
      </ul>
      <p className="quiet">{counted('sites', step.sites)}</p>
      {selected.length > 0 && (
        <Button
          secondary
          testId="retarget"
          title={text('step.retargetTitle')}
          onClick={() => app.recipe.retarget(index, app.selection.sites().at)}
        >
          {counted('retarget', selected.length)}
        </Button>
      )}
    </Section>
  );
}
