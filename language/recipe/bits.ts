/** Giving layers more or fewer bits than the rest of a step: which edits of the recipe it takes. */
import type { RecipeEdit } from '../protocol';
import type { SimpleEdit } from './edit';
import type { Step } from './recipe';

type Says = Pick<Step, 'at' | 'except' | 'parameters'> & { readonly pass: { readonly id: string } };
type Wish = Pick<Extract<RecipeEdit, { kind: 'bits' }>, 'step' | 'nodes' | 'bits'>;

/**
 * The layers go where their bits are: to the step that rounds the rest, to another of the same pass behind it, or nowhere.
 * What an earlier wish for the same layers left in the recipe goes.
 */
export function bitsEdits(
  steps: readonly Says[],
  { step: asked, nodes, bits }: Wish,
): SimpleEdit[] {
  const named = (name: string) =>
    nodes.some((node) => name === node || name.startsWith(`${node}/`));
  const { pass } = steps[asked]!;
  const parted = steps.findIndex((one) => one.pass.id === pass.id && one.except.some(named));
  const main = steps[parted < 0 ? asked : parted]!;
  const isOwn = bits === 'own' || bits === (main.parameters as { readonly bits?: unknown }).bits;
  if (parted < 0 && main.at?.every(named)) {
    if (isOwn) return [];
    return [
      bits === null
        ? { kind: 'remove', step: asked }
        : { kind: 'set', step: asked, parameter: 'bits', value: bits },
    ];
  }
  // From the last to the first, so that those before stay where they are.
  const left = [...steps.entries()].reverse().flatMap(([step, one]): SimpleEdit[] => {
    if (one === main || one.pass.id !== pass.id || !one.at?.some(named)) return [];
    const rest = one.at.filter((name) => !named(name));
    return [rest.length === 0 ? { kind: 'remove', step } : { kind: 'retarget', step, at: rest }];
  });
  const place = steps.indexOf(main);
  const step = place - left.filter((edit) => edit.kind === 'remove' && edit.step < place).length;
  const back = main.except
    .filter(named)
    .map((node): SimpleEdit => ({ kind: 'except', step, node, excepted: false }));
  if (isOwn) return [...left, ...back];
  const away = nodes.map((node): SimpleEdit =>
    bits === null
      ? { kind: 'except', step, node, excepted: true }
      : { kind: 'part', step, node, parameter: 'bits', value: bits },
  );
  return [...left, ...back, ...away];
}
