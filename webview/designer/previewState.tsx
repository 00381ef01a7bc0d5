import { useView } from '../app/context';
import type { State } from '../app/state';
import { Icon, type IconName } from '../common/icon';
import { text, type StringKey } from '../strings';

type Preview = 'live' | 'estimated' | 'updating' | 'restarting' | 'stale';

const LOOKS: Readonly<Record<Preview, { icon: IconName; label: StringKey; title: StringKey }>> = {
  live: { icon: 'circle-filled', label: 'preview.live', title: 'preview.liveTitle' },
  estimated: { icon: 'circle-outline', label: 'preview.estimated', title: 'mark.estimated' },
  updating: { icon: 'loading', label: 'preview.updating', title: 'preview.updatingTitle' },
  restarting: { icon: 'sync', label: 'preview.restarting', title: 'backend.restarting' },
  stale: { icon: 'warning', label: 'preview.stale', title: 'preview.staleTitle' },
};

/** How far what is drawn can be trusted. */
export function PreviewState() {
  const preview = useView(previewOf);
  const { icon, label, title } = LOOKS[preview];
  return (
    <span
      className={`preview preview-${preview}`}
      role="status"
      title={text(title)}
      data-testid="preview"
      data-state={preview}
    >
      <Icon name={icon} spin={preview === 'updating' || preview === 'restarting'} />
      <span className="preview-label">{text(label)}</span>
    </span>
  );
}

function previewOf({ backend, designError, updating, design, draft }: State): Preview {
  if (backend === 'restarting') return 'restarting';
  if (designError !== null) return 'stale';
  // A parameter in motion is always on its way: saying so would only flicker.
  if (updating && !draft) return 'updating';
  return design?.totals.some((row) => row.latencyMs.estimated) ? 'estimated' : 'live';
}
