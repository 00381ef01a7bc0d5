import { useView } from '../app/context';
import { Icon } from '../common/icon';
import { text } from '../strings';
import { offerText } from './offerText';

/** The pass under the pointer. */
export function DragGhost() {
  const drag = useView((state) => state.drag);
  const offer = useView((state) => state.offer);
  const pass = useView((state) => state.passes.find(({ id }) => id === state.drag?.pass));
  if (!drag || !pass) return null;
  return (
    <div className={`ghost family-${pass.family}`} data-testid="drag-ghost" aria-hidden="true">
      <Icon name="gripper" />
      <strong>{pass.title}</strong>
      {drag.over?.on === 'canvas' && (
        <span className="ghost-offer">
          {text('drop.everywhere')} · {offerText(offer?.gain ?? null)}
        </span>
      )}
    </div>
  );
}
