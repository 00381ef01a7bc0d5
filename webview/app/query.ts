/**
 * The language of the find box: words and `field:value` or `field>number` terms, all of which must hold.
 * `op:Conv macs>10M`, `is:changed latency>=0.5ms`, `"patch embed"`, `op:*Norm*`.
 */
import type { NodeCost, ViewNode } from '../../language/protocol';

const FIELDS = ['op', 'name', 'shape', 'is'] as const;
type Field = (typeof FIELDS)[number];

/** Quantities and what a bare number of them means in the unit of the wire. */
const QUANTITIES: Readonly<Record<string, (cost: NodeCost) => number | null>> = {
  macs: (cost) => cost.macs.after,
  params: (cost) => cost.parameters.after,
  parameters: (cost) => cost.parameters.after,
  latency: (cost) => cost.latencyMs.after,
  energy: (cost) => cost.energyMj.after,
  activations: (cost) => cost.activationBytes.after,
  share: (cost) => cost.share.latency,
};

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  kmac: 1e3,
  mmac: 1e6,
  gmac: 1e9,
  s: 1e3,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  j: 1e3,
  mj: 1,
  uj: 1e-3,
  µj: 1e-3,
  b: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  '%': 0.01,
};

const COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
};

type Term = (node: ViewNode) => boolean;

export interface Query {
  /** True when nothing is asked. */
  readonly empty: boolean;
  readonly matches: (node: ViewNode) => boolean;
  /** Terms that could not be understood; they match nothing. */
  readonly problems: readonly string[];
}

/** Never fails: what cannot be read is named in `problems`. */
export function parseQuery(source: string): Query {
  const problems: string[] = [];
  const terms = words(source).map((word) => {
    const term = parseTerm(word);
    if (term === null) problems.push(word);
    return term ?? (() => false);
  });
  return {
    empty: terms.length === 0,
    matches: (node) => terms.every((term) => term(node)),
    problems,
  };
}

/** Split at spaces outside quotes; quotes are dropped. */
function words(source: string): string[] {
  return [...source.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)]
    .map(([word]) => word.replaceAll('"', ''))
    .filter((word) => word !== '');
}

function parseTerm(word: string): Term | null {
  const field = /^([a-z]+):(.*)$/i.exec(word);
  const name = field?.[1]!.toLowerCase() ?? '';
  if (isField(name)) return parseField(name, field![2]!);
  const comparison = /^([a-z]+)(>=|<=|>|<|=)(.+)$/i.exec(word);
  if (comparison) return parseComparison(comparison);
  return (node) => anywhere(node, word.toLowerCase());
}

function parseField(name: Field, value: string): Term | null {
  if (value === '') return null;
  const pattern = wildcard(value);
  switch (name) {
    case 'op':
      return (node) => pattern.test(node.subtitle);
    case 'name':
      return (node) => pattern.test(node.title) || pattern.test(node.id);
    case 'shape':
      return (node) => node.shape.toLowerCase().includes(value.toLowerCase());
    case 'is':
      return parseState(value.toLowerCase());
  }
}

function parseState(value: string): Term | null {
  if (['kept', 'changed', 'inserted', 'removed'].includes(value))
    return (node) => node.status === value;
  if (['layer', 'block', 'stack', 'input', 'output'].includes(value))
    return (node) => node.kind === value;
  if (value === 'unknown') return (node) => node.cost.unknown !== null;
  return null;
}

function parseComparison([, name, operator, amount]: RegExpExecArray): Term | null {
  const quantity = QUANTITIES[name!.toLowerCase()];
  const number = /^([\d.]+)([a-zµ%]*)$/i.exec(amount!);
  const factor = UNITS[number?.[2]?.toLowerCase() ?? ''];
  const limit = Number(number?.[1]) * (factor ?? NaN);
  const compare = COMPARISONS[operator!]!;
  if (!quantity || Number.isNaN(limit)) return null;
  return (node) => {
    const value = quantity(node.cost);
    return value !== null && compare(value, limit);
  };
}

function anywhere(node: ViewNode, word: string): boolean {
  const parts = [node.id, node.title, node.subtitle, ...node.chips.map(({ text }) => text)];
  return parts.some((part) => part.toLowerCase().includes(word));
}

function wildcard(value: string): RegExp {
  const escaped = value.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${escaped}$`, 'i');
}

function isField(name: string): name is Field {
  return (FIELDS as readonly string[]).includes(name);
}
