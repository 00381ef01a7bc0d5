import { useApp } from '../app/context';
import { text } from '../strings';
import { Section } from './section';

export interface ValueLine {
  readonly name: string;
  readonly type: string;
  readonly shape: string;
  readonly constant: boolean;
  /** Nodes at the other end. */
  readonly links: readonly string[];
}

interface ValuesProps {
  readonly id: string;
  readonly title: string;
  readonly values: readonly ValueLine[];
}

/** Inputs or outputs, with links to the nodes at their other ends. */
export function Values({ id, title, values }: ValuesProps) {
  if (values.length === 0) return null;
  return (
    <Section id={id} title={title} count={values.length}>
      <ul className="values">
        {values.map((value) => (
          <li key={value.name}>
            <span className="value-name" title={value.name}>
              {value.name}
            </span>
            <small>
              {value.type} {value.shape}
              {value.constant ? ` · ${text('node.constant')}` : ''}
            </small>
            {value.links.map((link) => (
              <NodeLink key={link} id={link} />
            ))}
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Selects a node and brings it into view, opening what hides it. */
export function NodeLink({ id }: { readonly id: string }) {
  const app = useApp();
  return (
    <button
      type="button"
      className="link"
      title={text('node.go', { name: id })}
      data-testid={`link-${id}`}
      onClick={() => void app.finding.show(id)}
    >
      {id}
    </button>
  );
}
