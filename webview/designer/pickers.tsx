import { METRICS, type Metric, type TargetInfo } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import type { Popup } from '../app/state';
import { Icon } from '../common/icon';
import { QuickPick, type PickItem } from '../common/quickPick';
import { text } from '../strings';

/** Which device the numbers hold for. */
export function TargetPicker() {
  const app = useApp();
  const targets = useView((state) => state.targets);
  const target = useView((state) => state.target);
  const title = targets.find(({ id }) => id === target)?.title ?? target;
  return (
    <Picker
      kind="target"
      label={text('pick.target')}
      shown={title}
      caption={text('header.target')}
      items={targetItems(targets, target)}
      onPick={app.setTarget}
    />
  );
}

/** What the colours show. */
export function MetricPicker() {
  const app = useApp();
  const metric = useView((state) => state.metric);
  const found = useView((state) => state.sensitivity);
  const showsEffects = useView((state) => state.showsEffects && state.sensitivity !== null);
  const costs = METRICS.map((id) => ({
    id,
    label: text(`metric.${id}`),
    detail: text(`metric.${id}.detail`),
    current: !showsEffects && id === metric,
  }));
  const effects = {
    id: 'effects' as const,
    label: text('effects.picker'),
    detail: found
      ? text('effects.picker.detail', { title: found.title })
      : text('effects.picker.none'),
    current: showsEffects,
  };
  return (
    <Picker
      kind="metric"
      label={text('pick.metric')}
      shown={text(showsEffects ? 'effects.picker' : `metric.${metric}`)}
      caption={text('header.colourBy')}
      items={[...costs, effects]}
      onPick={(id) => {
        if (id === 'effects' && !found) app.sensing.ask();
        else app.setMetric(id as Metric | 'effects');
      }}
    />
  );
}

export function targetItems(targets: readonly TargetInfo[], current: string | null): PickItem[] {
  return targets.map(({ id, kind, title, basis }) => ({
    id,
    label: title,
    description: id,
    detail: basis,
    group: text(`kind.${kind}`),
    current: id === current,
    icon: <span className="quick-pick-check">{id === current && <Icon name="check" />}</span>,
  }));
}

interface PickerProps {
  readonly kind: 'target' | 'metric';
  readonly label: string;
  readonly caption: string;
  readonly shown: string;
  readonly items: readonly PickItem[];
  readonly onPick: (id: string) => void;
}

function Picker({ kind, label, caption, shown, items, onPick }: PickerProps) {
  const app = useApp();
  const open = useView((state) => state.popup?.kind === kind);
  const show = (popup: Popup | null) => app.store.set({ popup });
  return (
    <div className="picker">
      <button
        type="button"
        className="picker-button"
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-label={`${label}: ${shown}`}
        title={`${label} (${kind === 'target' ? 't' : 'h'})`}
        data-testid={`${kind}-picker`}
        // The list closes on blur: taking the mouse down would close it and the click open it again.
        onMouseDown={(event) => open && event.preventDefault()}
        onClick={() => show(open ? null : { kind })}
      >
        <span className="picker-caption">{caption}</span>
        <strong>{shown}</strong>
        <Icon name="chevron-down" />
      </button>
      {open && (
        <QuickPick
          items={items}
          label={label}
          testId={`${kind}-list`}
          onPick={(id) => {
            show(null);
            onPick(id);
          }}
          onClose={() => show(null)}
        />
      )}
    </div>
  );
}
