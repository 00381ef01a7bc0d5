/** Where nodes belong when names alone would tear the graph: strays without a scope, and scopes that run several times. */
import { enclosingScopes } from '../names';
import type { Node } from '../graph';

/**
 * The scope of each node, by id. Exporters and optimisers add nodes without one; such a stray belongs to the innermost
 * scope that holds all that it reads and all that reads it.
 */
export function homesOf(
  nodes: readonly Node[],
  reads: (node: Node) => readonly string[],
): ReadonlyMap<string, string> {
  const homes = new Map(nodes.map((node) => [node.id, node.scope]));
  const strays = nodes.filter(isStray);
  if (strays.length === 0 || strays.length === nodes.length) return homes;
  const stray = new Set(strays.map(({ id }) => id));
  // Where inputs come from and outputs go.
  const outside = commonScope(nodes.filter(({ id }) => !stray.has(id)).map(({ scope }) => scope));
  const towards = (next: (node: Node) => readonly string[], order: readonly Node[]) => {
    const found = new Map<string, string | undefined>();
    for (const node of order) {
      const scopes = next(node).map((id) =>
        stray.has(id) ? found.get(id) : (homes.get(id) ?? outside),
      );
      found.set(node.id, commonScope(scopes));
    }
    return found;
  };
  const above = towards(reads, strays);
  const readers = readersOf(nodes, reads);
  const below = towards(({ id }) => readers.get(id) ?? [OUTSIDE], strays.toReversed());
  for (const { id } of strays)
    homes.set(id, commonScope([above.get(id), below.get(id)]) ?? outside ?? '');
  return homes;
}

/** Stands for whatever is not a node. */
const OUTSIDE = '';

function readersOf(
  nodes: readonly Node[],
  reads: (node: Node) => readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const readers = new Map<string, string[]>();
  for (const node of nodes)
    for (const source of reads(node)) {
      const known = readers.get(source);
      if (known) known.push(node.id);
      else readers.set(source, [node.id]);
    }
  return readers;
}

/** A node whose exporter does not say where it is from. A leading `/` says that it is from the root. */
const isStray = ({ scope, name, metadata }: Node): boolean =>
  scope === '' && !name.includes('/') && !metadata.has('pkg.torch.onnx.name_scopes');

/** The innermost scope around all that are known; undefined where none is. */
function commonScope(scopes: readonly (string | undefined)[]): string | undefined {
  const known = scopes.filter((scope) => scope !== undefined);
  const [first, ...rest] = known;
  if (first === undefined) return undefined;
  return (
    enclosingScopes(first).find((scope) =>
      rest.every((other) => other === scope || other.startsWith(`${scope}/`)),
    ) ?? ''
  );
}

/** Members of one group that belong together. */
export interface Visit<T> {
  readonly members: readonly T[];
  /** Counted from 1. */
  readonly number: number;
  /** Whether it is all of the group. */
  readonly whole: boolean;
}

/** How members are grouped, and what they read of each other, by id. */
export interface Grouping<T> {
  readonly id: (member: T) => string;
  readonly group: (member: T) => string;
  readonly reads: (member: T) => readonly string[];
}

/** Steps beyond which groups are left as they are: only tangles that no code made take more. */
const MOST_STEPS = 1_000_000;

/**
 * Groups members. Where groups depend on each other in a circle, a group is split by visits: what depends on an earlier
 * visit through members of other groups is a later visit. Members come after what they read; visits are in the order of
 * their first members.
 */
export function separate<T>(members: readonly T[], grouping: Grouping<T>): Visit<T>[] {
  const groups = new Map<string, T[]>();
  const groupOf = new Map<string, string>();
  for (const member of members) {
    const group = grouping.group(member);
    groupOf.set(grouping.id(member), group);
    const own = groups.get(group);
    if (own) own.push(member);
    else groups.set(group, [member]);
  }
  const tangle = tangled(members, groupOf, grouping);
  const visits =
    tangle.size > 0 ? visitsIn(members, tangle, groupOf, grouping) : new Map<string, number>();
  const split = new Map<string, Visit<T> & { members: T[] }>();
  for (const member of members) {
    const group = grouping.group(member);
    const number = visits.get(grouping.id(member)) ?? 1;
    const key = `${number} ${group}`;
    const visit = split.get(key);
    if (visit) visit.members.push(member);
    else split.set(key, { members: [member], number, whole: true });
  }
  return [...split.values()].map((visit) => {
    const all = groups.get(grouping.group(visit.members[0]!))!;
    return { ...visit, whole: visit.members.length === all.length };
  });
}

/** Groups on a circle of dependences, or between two circles; none where every group reads only those before it. */
function tangled<T>(
  members: readonly T[],
  groupOf: ReadonlyMap<string, string>,
  { id, reads }: Grouping<T>,
): ReadonlySet<string> {
  const order = new Map([...new Set(groupOf.values())].map((group, i) => [group, i]));
  const readsLater = (member: T): boolean => {
    const to = order.get(groupOf.get(id(member))!)!;
    return reads(member).some((source) => {
      const from = groupOf.get(source);
      return from !== undefined && order.get(from)! > to;
    });
  };
  if (!members.some(readsLater)) return new Set();
  const sources = new Map<string, Set<string>>();
  for (const member of members) {
    const to = groupOf.get(id(member))!;
    for (const source of reads(member)) {
      const from = groupOf.get(source);
      if (from === undefined || from === to) continue;
      const known = sources.get(to);
      if (known) known.add(from);
      else sources.set(to, new Set([from]));
    }
  }
  const targets = new Map<string, Set<string>>();
  for (const [to, froms] of sources)
    for (const from of froms) targets.set(from, (targets.get(from) ?? new Set()).add(to));
  return peeled(peeled(new Set(order.keys()), sources, targets), targets, sources);
}

/** What is left after taking away, again and again, groups that need nothing of what is left. */
function peeled(
  groups: ReadonlySet<string>,
  needs: ReadonlyMap<string, ReadonlySet<string>>,
  neededBy: ReadonlyMap<string, ReadonlySet<string>>,
): ReadonlySet<string> {
  const left = new Set(groups);
  const open = new Map<string, number>();
  for (const group of groups)
    open.set(group, [...(needs.get(group) ?? [])].filter((need) => groups.has(need)).length);
  const free = [...groups].filter((group) => open.get(group) === 0);
  for (const group of free) {
    left.delete(group);
    for (const other of neededBy.get(group) ?? []) {
      if (!left.has(other)) continue;
      open.set(other, open.get(other)! - 1);
      if (open.get(other) === 0) free.push(other);
    }
  }
  return left;
}

/** The visit of each member of tangled groups, by id. */
function visitsIn<T>(
  members: readonly T[],
  tangle: ReadonlySet<string>,
  groupOf: ReadonlyMap<string, string>,
  { id, reads }: Grouping<T>,
): ReadonlyMap<string, number> {
  const visits = new Map<string, number>();
  // By member: the latest visit of each tangled group that it depends on or belongs to.
  const latest = new Map<string, ReadonlyMap<string, number>>();
  let steps = 0;
  for (const member of members) {
    const own = groupOf.get(id(member))!;
    if (!tangle.has(own)) continue;
    const seen = new Map<string, number>();
    let visit = 1;
    for (const source of reads(member))
      for (const [group, number] of latest.get(source) ?? []) {
        if (++steps > MOST_STEPS) return new Map();
        seen.set(group, Math.max(number, seen.get(group) ?? 0));
        const again = group === own && groupOf.get(source) !== own;
        if (group === own) visit = Math.max(visit, again ? number + 1 : number);
      }
    latest.set(id(member), seen.set(own, visit));
    visits.set(id(member), visit);
  }
  return visits;
}
