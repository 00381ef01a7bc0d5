import { Section } from './section';
import { NodeLink } from './values';

interface RefusalsProps {
  readonly id: string;
  readonly title: string;
  readonly refusals: readonly { readonly node: string; readonly reason: string }[];
}

/** Layers that were left alone, and why; nothing where there are none. */
export function Refusals({ id, title, refusals }: RefusalsProps) {
  if (refusals.length === 0) return null;
  return (
    <Section id={id} title={title} count={refusals.length}>
      <ul className="values">
        {refusals.map(({ node, reason }) => (
          <li key={node}>
            <NodeLink id={node} />
            <small>{reason}</small>
          </li>
        ))}
      </ul>
    </Section>
  );
}
