import { useRef } from 'react';
import type { ParameterProperty, PassInfo, StepSummary } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { useWantedFocus } from '../app/useWantedFocus';
import { text } from '../strings';
import { fieldOf } from './fields';
import { ListField } from './listField';
import { NumberEntry } from './numberEntry';
import { PlainField } from './plainField';

interface ParameterFormProps {
  readonly pass: PassInfo;
  readonly step: StepSummary;
  readonly index: number;
}

/** A control for each parameter, made from the schema. */
export function ParameterForm({ pass, step, index }: ParameterFormProps) {
  const form = useRef<HTMLDivElement>(null);
  const properties = Object.entries(pass.parameters.properties);

  useWantedFocus('parameter', () =>
    form.current?.querySelector<HTMLElement>('input, select')?.focus(),
  );

  if (properties.length === 0) return <p className="quiet">{text('step.noParameters')}</p>;
  return (
    <div className="form" ref={form} role="group" aria-label={text('step.parameters')}>
      {properties.map(([name, property]) => (
        <Parameter key={name} name={name} property={property} step={step} index={index} />
      ))}
    </div>
  );
}

interface ParameterProps {
  readonly name: string;
  readonly property: ParameterProperty;
  readonly step: StepSummary;
  readonly index: number;
}

export interface FieldProps {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly value: unknown;
  /** The element that describes the parameter, if something does. */
  readonly helpId: string | undefined;
  /** Shows a value without writing it. */
  readonly onMove: (value: unknown) => void;
  /** Writes a value to the recipe. */
  readonly onSet: (value: unknown) => void;
}

function Parameter({ name, property, step, index }: ParameterProps) {
  const app = useApp();
  const draft = useView(({ draft: moving }) =>
    moving?.step === index && moving.parameter === name ? moving : null,
  );
  const value = draft ? draft.value : (step.parameters[name] ?? property.default);
  const field = fieldOf(property);
  const props: FieldProps = {
    id: `parameter-${name}`,
    name,
    title: property.title ?? name,
    value,
    helpId: property.description === undefined ? undefined : `parameter-${name}-help`,
    onMove: (moving) => app.recipe.draft({ step: index, parameter: name, value: moving }),
    onSet: (chosen) => app.recipe.set({ step: index, parameter: name, value: chosen }),
  };
  return (
    <div className="parameter">
      {field.kind === 'list' ? (
        <ListField {...props} field={field} at={property.perSite ? (step.at ?? []) : []} />
      ) : field.kind === 'slider' || field.kind === 'number' ? (
        <NumberEntry {...props} field={field} number={asNumber(value)} />
      ) : (
        <PlainField {...props} field={field} />
      )}
      {property.description !== undefined && (
        <p className="quiet" id={props.helpId}>
          {property.description}
        </p>
      )}
    </div>
  );
}

export function asNumber(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
