import { useApp, useView } from '../app/context';
import { memoryOf } from '../app/memory';
import { Button } from '../common/elements';
import { Icon } from '../common/icon';
import { IconButton } from '../common/iconButton';
import { quantity } from '../format';
import { text } from '../strings';
import { Find } from './find';
import { MetricPicker, TargetPicker } from './pickers';
import { PreviewState } from './previewState';

export function Header() {
  const app = useApp();
  const name = useView((state) => state.design?.model.name ?? '');
  const isDesigner = useView((state) => state.design?.recipe !== null);
  return (
    <header className="header">
      <h1 className="header-name" title={name}>
        {name}
      </h1>
      <ModelFacts />
      <div className="header-tools">
        <TargetPicker />
        <MetricPicker />
        <Find />
        <IconButton
          icon="screen-full"
          label={text('header.fit')}
          keys="f"
          testId="fit"
          onClick={app.actions.fit}
        />
        {isDesigner && (
          <span className="header-group">
            <IconButton
              icon="discard"
              label={text('header.undo')}
              testId="undo"
              onClick={app.recipe.undo}
            />
            <IconButton
              icon="redo"
              label={text('header.redo')}
              testId="redo"
              onClick={app.recipe.redo}
            />
          </span>
        )}
        <PaneToggles />
        <PreviewState />
        {isDesigner ? <ApplyButton /> : <StartButton />}
      </div>
    </header>
  );
}

/** What the model is before anything is done to it. */
function ModelFacts() {
  const counts = useView((state) => state.design?.counts);
  if (!counts) return null;
  const facts = [
    counts.parameters.before === null
      ? null
      : text('header.parameters', { count: quantity(counts.parameters.before, 'count') }),
    counts.macs.before === null ? text('header.macsUnknown') : quantity(counts.macs.before, 'macs'),
    counts.weightBytes.before === null ? null : quantity(counts.weightBytes.before, 'bytes'),
  ];
  return <span className="header-facts">{facts.filter((fact) => fact !== null).join(' · ')}</span>;
}

const PANES = [
  { id: 'left', icon: 'layout-sidebar-left' },
  { id: 'totals', icon: 'layout-panel' },
  { id: 'inspector', icon: 'layout-sidebar-right' },
] as const;

function PaneToggles() {
  const app = useApp();
  const folded = useView((state) => state.folded);
  return (
    <span className="header-group pane-toggles">
      {PANES.map(({ id, icon }) => (
        <IconButton
          key={id}
          icon={icon}
          label={text(`pane.${id}`)}
          pressed={!folded.includes(id)}
          testId={`pane-${id}`}
          onClick={() => app.fold(id)}
        />
      ))}
    </span>
  );
}

function ApplyButton() {
  const app = useApp();
  const running = useView(
    ({ applying }) => applying.state === 'running' || applying.state === 'cancelling',
  );
  const empty = useView((state) => state.design?.recipe?.steps.length === 0);
  return (
    <Button
      testId="apply"
      disabled={running}
      title={text(empty ? 'apply.empty' : 'apply.title')}
      onClick={app.applying.start}
    >
      {text(running ? 'apply.running' : 'apply')}
      <Icon name="play" />
    </Button>
  );
}

function StartButton() {
  const app = useApp();
  return (
    <Button
      testId="start"
      title={text('viewer.startTitle')}
      onClick={() => {
        void app.host.request('open', { what: 'designer', view: memoryOf(app.store.get()) });
      }}
    >
      {text('viewer.start')}
    </Button>
  );
}
