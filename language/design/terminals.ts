/** The cards of graph inputs and outputs. Many that belong to one part (the caches of a decoder's layers) are one card. */
import { shapeText, type Card } from './cards';
import { emptyTally, nodeCost } from './costs';
import type { Flowing, Terminal } from './merge';
import type { Scene } from './scene';

/** One input or output, or several. */
export interface Gathered {
  readonly id: string;
  readonly kind: Terminal['kind'];
  readonly members: readonly Terminal[];
}

/** Up to so many stand alone. */
const FEW = 3;

/** Inputs and outputs by what they are joined to, in the order of the first of each. */
export function gather(
  terminals: readonly Terminal[],
  flowing: readonly Flowing[],
  visible: ReadonlyMap<string, string>,
): Gathered[] {
  const joined = new Map(terminals.map(({ id }) => [id, new Set<string>()]));
  for (const { from, to } of flowing) {
    joined.get(from)?.add(visible.get(to) ?? to);
    joined.get(to)?.add(visible.get(from) ?? from);
  }
  const groups = new Map<string, Terminal[]>();
  for (const terminal of terminals) {
    const key = [terminal.kind, terminal.presence, ...[...joined.get(terminal.id)!].sort()].join(
      '\n',
    );
    const group = groups.get(key);
    if (group) group.push(terminal);
    else groups.set(key, [terminal]);
  }
  return [...groups.values()].flatMap((members) =>
    members.length > FEW ? [together(members)] : members.map((member) => together([member])),
  );
}

function together(members: readonly Terminal[]): Gathered {
  const first = members[0]!;
  const last = members.at(-1)!;
  return { id: first === last ? first.id : `${first.id}…${last.name}`, kind: first.kind, members };
}

export function terminalCard({ id, kind, members }: Gathered, { before, after }: Scene): Card {
  const first = members[0]!;
  const last = members.at(-1)!;
  const { facts } = first.presence === 'removed' ? before : after;
  const shapes = new Set(members.map(({ name }) => shapeText(facts.value(name).shape)));
  const [shape = ''] = shapes;
  return {
    id,
    kind,
    parent: null,
    at: [],
    title: first === last ? first.name : `${first.name} – ${last.name}`,
    subtitle: first === last ? kind : `${members.length} ${kind}s`,
    shape: shapes.size === 1 ? shape : '',
    shapeBefore: null,
    open: false,
    foldable: false,
    status: first.presence,
    family: null,
    chips: [],
    rounding: null,
    cost: nodeCost(emptyTally(), emptyTally(), emptyTally(), 0),
    strip: [],
  };
}
