import { useCallback, useMemo } from 'react';
import type { PassInfo } from '../../language/protocol';
import { useApp, useView } from '../app/context';
import { QuickPick, type PickItem } from '../common/quickPick';
import { gainText } from '../library/offerText';
import { counted, text } from '../strings';

/** `p`: pick a pass for what is selected, seeing what each would bring. */
export function PassPicker() {
  const app = useApp();
  const open = useView((state) => state.popup?.kind === 'passes');
  const passes = useView((state) => state.passes);
  const offer = useView((state) => state.offer);
  const selected = useView((state) => state.selected);
  const items = useMemo(() => passItems(passes), [passes]);
  const close = useCallback(() => app.store.set({ popup: null, offer: null }), [app]);
  const consider = useCallback(
    (pass: string | null) => {
      if (pass !== null) app.dragging.consider(pass, app.selection.sites().at);
    },
    [app],
  );
  if (!open) return null;
  return (
    <QuickPick
      items={items}
      label={
        selected.length === 0 ? text('pick.passAnywhere') : counted('passFor', selected.length)
      }
      testId="pass-picker"
      aside={<span className="quick-pick-gain">{gainText(offer?.gain ?? null)}</span>}
      onActive={consider}
      onPick={(pass) => {
        const { at, blocks } = app.selection.sites();
        close();
        app.recipe.add(pass, at, blocks);
      }}
      onClose={close}
    />
  );
}

function passItems(passes: readonly PassInfo[]): PickItem[] {
  return passes.map(({ id, title, family, summary }) => ({
    id,
    label: title,
    description: id,
    detail: summary,
    group: text(`family.${family}`),
    icon: <span className={`family-dot family-${family}`} />,
  }));
}
