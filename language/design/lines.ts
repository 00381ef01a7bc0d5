/** The lines of the picture: what flows between the visible parts, one line for each pair. */
import { layersOf } from '../graph/blocks';
import type { ViewEdge } from '../protocol';
import { shapeText } from './cards';
import { membersOf, type Shown } from './fold';
import type { Flowing } from './merge';
import type { Scene } from './scene';

/** A line without its route. Values within one closed part flow unseen. */
export function linesOf(
  visible: ReadonlyMap<string, string>,
  scene: Scene,
): Omit<ViewEdge, 'route'>[] {
  const lines = new Map<string, { from: string; to: string; values: Flowing[] }>();
  for (const flowing of scene.merged.flowing) {
    const [from, to] = [visible.get(flowing.from)!, visible.get(flowing.to)!];
    if (from === to) continue;
    const id = `${from} → ${to}`;
    const line = lines.get(id);
    if (line) line.values.push(flowing);
    else lines.set(id, { from, to, values: [flowing] });
  }
  return [...lines].map(([id, { from, to, values }]) => {
    return { id, from, to, label: labelOf(values, scene), status: statusOf(values) };
  });
}

/** The closed part that each layer is visible in. */
export function visibleParts(shown: readonly Shown[]): Map<string, string> {
  const visible = new Map<string, string>();
  const enter = ({ id, part, inside }: Shown): void => {
    if (inside) inside.forEach(enter);
    else for (const { node } of membersOf(part).flatMap(layersOf)) visible.set(node.id, id);
  };
  shown.forEach(enter);
  return visible;
}

function labelOf(values: readonly Flowing[], { before, after }: Scene): string {
  const [first] = values;
  if (!first || values.some(({ value }) => value !== first.value)) return '';
  const { facts } = first.presence === 'removed' ? before : after;
  return shapeText(facts.value(first.value).shape);
}

function statusOf(values: readonly Flowing[]): ViewEdge['status'] {
  if (values.some(({ presence }) => presence === 'kept')) return 'kept';
  return values.some(({ presence }) => presence === 'inserted') ? 'inserted' : 'removed';
}
