import { FAMILIES, type PassInfo } from '../../language/protocol';
import type { App } from '../app/app';
import { useApp, useView } from '../app/context';
import { Menu, type MenuEntry } from '../common/menu';
import { copyText } from '../common/copyText';
import { bitsEntries } from './bitsMenu';
import { text } from '../strings';

/** What can be done with a node. */
export function NodeMenu() {
  const app = useApp();
  const popup = useView((state) => state.popup);
  const passes = useView((state) => state.passes);
  const nodes = useView((state) => state.design?.view.nodes);
  if (popup?.kind !== 'menu') return null;
  const node = nodes?.find(({ id }) => id === popup.node);
  if (!node) return null;
  const entries: readonly MenuEntry[] = [
    {
      kind: 'submenu',
      id: 'add-pass',
      label: text('menu.addPass'),
      entries: node.at.length === 0 ? [] : passEntries(app, passes, node.id),
    },
    { kind: 'submenu', id: 'bits', label: text('menu.bits'), entries: bitsEntries(app, node) },
    { kind: 'separator', id: 'after-add' },
    {
      kind: 'item',
      id: 'toggle',
      label: text(node.open ? 'menu.close' : 'menu.open'),
      keys: node.open ? 'Esc' : 'Enter',
      disabled: !node.foldable && !node.open,
      run: () => app.selection.toggle(node.id),
    },
    {
      kind: 'item',
      id: 'why',
      label: text('menu.why'),
      keys: 'W',
      run: app.actions.why,
    },
    { kind: 'separator', id: 'after-look' },
    {
      kind: 'item',
      id: 'onnx-text',
      label: text('menu.onnxText'),
      disabled: node.kind !== 'layer',
      run: () => void app.host.request('open', { what: 'onnxText', node: node.id }),
    },
    {
      kind: 'item',
      id: 'copy',
      label: text('menu.copy'),
      run: () => copyText(node.id),
    },
  ];
  return (
    <Menu
      entries={entries}
      label={text('menu.label', { name: node.title })}
      testId="node-menu"
      x={popup.x}
      y={popup.y}
      onClose={() => app.store.set({ popup: null })}
    />
  );
}

/** All passes by family, with a line between families. */
function passEntries(app: App, passes: readonly PassInfo[], node: string): MenuEntry[] {
  return FAMILIES.flatMap((family) => {
    const members = passes.filter((pass) => pass.family === family);
    const entries: MenuEntry[] = members.map((pass) => ({
      kind: 'item',
      id: pass.id,
      label: pass.title,
      keys: text(`family.${family}`),
      run: () => {
        const { at, blocks } = app.selection.sites(node);
        app.recipe.add(pass.id, at, blocks);
      },
    }));
    return members.length > 0 ? [{ kind: 'separator' as const, id: family }, ...entries] : [];
  }).slice(1);
}
