import { useApp, useView } from '../app/context';
import { Cost } from '../canvas/cardNode';
import { Button } from '../common/elements';
import { counted, text } from '../strings';
import { NodeLink } from './values';

/** Several nodes chosen: what they are, and what can be done with all of them. */
export function ManyNodes({ ids }: { readonly ids: readonly string[] }) {
  const app = useApp();
  const nodes = useView((state) => state.design?.view.nodes) ?? [];
  const chosen = nodes.filter((node) => ids.includes(node.id));
  return (
    <div className="panel" data-testid="many-panel">
      <header className="panel-head">
        <h2>{counted('selected', chosen.length)}</h2>
      </header>
      <Button secondary icon="add" testId="add-to-selection" onClick={app.actions.addPass}>
        {text('menu.addPass')}
      </Button>
      <ul className="values">
        {chosen.map((node) => (
          <li key={node.id} className="chosen">
            <NodeLink id={node.id} />
            <Cost node={node} />
          </li>
        ))}
      </ul>
    </div>
  );
}
