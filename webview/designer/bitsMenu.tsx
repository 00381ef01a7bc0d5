import type { PassInfo, RecipeEdit, StepSummary, ViewNode } from '../../language/protocol';
import type { App } from '../app/app';
import { useApp, useView } from '../app/context';
import { Menu, type MenuEntry } from '../common/menu';
import { bitsOf } from '../sensitivity/bits';
import { text } from '../strings';

/** In how many bits the recipe may round what a node holds. */
export function BitsMenu() {
  const app = useApp();
  const popup = useView((state) => state.popup);
  const node = useView((state) =>
    popup?.kind === 'bits'
      ? state.design?.view.nodes.find(({ id }) => id === popup.node)
      : undefined,
  );
  if (popup?.kind !== 'bits' || !node) return null;
  return (
    <Menu
      entries={bitsEntries(app, node)}
      label={text('bits.label', { name: node.title })}
      testId="bits-menu"
      x={popup.x}
      y={popup.y}
      onClose={() => app.store.set({ popup: null })}
    />
  );
}

/** None where no step of the recipe rounds weights, or the node has none. */
export function bitsEntries({ store, recipe }: App, node: ViewNode): MenuEntry[] {
  const { design, passes } = store.get();
  const steps = design?.recipe?.steps ?? [];
  const nodes = design?.view.nodes ?? [];
  const { macs, parameters } = node.cost;
  const multiplies = [macs, parameters].every(({ before }) => (before ?? 0) > 0);
  const elsewhere = nodes.find(({ rounding }) => rounding && !rounding.leftOut)?.rounding;
  const { step: index, leftOut } = node.rounding ?? { step: elsewhere?.step, leftOut: true };
  const step = index === undefined ? undefined : steps[index];
  if (!multiplies || index === undefined || !step) return [];
  const choose = (bits: Bits) => () =>
    node.rounding
      ? recipe.bits(index, node.at, bits)
      : recipe.add(step.pass, node.at, 0, bits === 'own' || bits === null ? {} : { bits });
  return choicesOf(
    step,
    passes.find(({ id }) => id === step.pass),
  ).map(({ bits, label }) => ({
    kind: 'item' as const,
    id: `bits-${bits ?? 'none'}`,
    label,
    run: choose(bits),
    ...(isNow(bits, step, leftOut) && { keys: '✓', ...(!node.rounding && { disabled: true }) }),
  }));
}

type Bits = Extract<RecipeEdit, { kind: 'bits' }>['bits'];

/** What the pass can round to, and not at all. */
function choicesOf(step: StepSummary, pass: PassInfo | undefined): { bits: Bits; label: string }[] {
  const choices = bitsOf(pass).map((bits) => ({ bits, label: text('bits.bits', { bits }) }));
  const own = { bits: 'own' as const, label: text('bits.own', { title: step.title }) };
  return [...(choices.length > 0 ? choices : [own]), { bits: null, label: text('bits.none') }];
}

function isNow(bits: Bits, { parameters }: StepSummary, leftOut: boolean): boolean {
  if (leftOut || bits === null) return leftOut && bits === null;
  return bits === (parameters.bits ?? 'own');
}

/** Opens the choices below an element of a node. */
export function openBits(app: App, node: ViewNode, at: Element): void {
  if (bitsEntries(app, node).length === 0) {
    app.store.set({ notice: text('bits.nothing', { name: node.title }) });
    return;
  }
  const { left, bottom } = at.getBoundingClientRect();
  app.store.set({ popup: { kind: 'bits', node: node.id, x: left, y: bottom + 2 } });
}
