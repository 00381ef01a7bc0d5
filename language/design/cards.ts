/** The cards: what a layer, block or stack says of itself, apart from where it stands. */
import { layersOf, type Block, type Layer, type Part } from '../graph/blocks';
import { enclosingScopes } from '../graph/names';
import type { Graph } from '../graph/graph';
import { sameShape } from '../graph/shapes/dims';
import type { Shape } from '../onnx/model';
import type { Chip, Family, NodeCost, Rounding, ViewNode } from '../protocol';
import { addTally, emptyTally, nodeCost, shareOf, type Tally } from './costs';
import { membersOf, type Shown } from './fold';
import type { Look } from './looks';
import type { Roundings } from './rounding';
import type { Scene, Sums } from './scene';
import { nounOf, type Stack } from './stacks';

/** A node of the view without its place. */
export type Card = Omit<ViewNode, 'x' | 'y' | 'width' | 'height'>;

/** How targets are called on cards, by id. */
export type TargetTitle = (target: string) => string;

const STRIP_PARTS = 24;

export function cardOf(
  shown: Shown,
  scene: Scene,
  targetTitle: TargetTitle,
  roundings: Roundings,
): Card {
  const { id, part, parent, inside } = shown;
  const members = membersOf(part);
  const layers = members.flatMap(layersOf);
  const looks = layers.map(({ node }) => scene.looks.get(node.id)!);
  const cost = costOf(members, scene);
  const shape = scene.exits.after(members.at(-1)!);
  const shapeBefore = scene.exits.before(members.at(-1)!);
  const at = namesOf(part, scene);
  const rounding = looks.some(({ multiplies }) => multiplies)
    ? roundings.of(at, originsOf(layers, scene))
    : null;
  const removed = looks.every(({ status }) => status === 'removed');
  return {
    id,
    kind: part.kind,
    parent,
    at,
    title: titleOf(part),
    subtitle: subtitleOf(part, layers, scene),
    shape: shapeText(removed ? shapeBefore : shape),
    shapeBefore:
      removed || !shapeBefore || sameShape(shape, shapeBefore) ? null : shapeText(shapeBefore),
    open: inside !== undefined,
    foldable: part.kind !== 'layer',
    status: statusOf(looks),
    family: familyOf(looks),
    chips: chipsOf(looks, layers, shape, shapeBefore, rounding, targetTitle),
    rounding,
    cost,
    strip: inside ? [] : stripOf(members, scene.sums.after),
  };
}

/** `1×197×192`; a symbol where a size is free, `?` where nothing is known; empty without a rank. */
export function shapeText(shape: Shape | undefined): string {
  if (!shape) return '';
  return shape.length === 0 ? 'scalar' : shape.map((dim) => dim ?? '?').join('×');
}

// ---- names

function titleOf(part: Shown['part']): string {
  if (part.kind !== 'stack') return part.title;
  // The members may be named by their own first and last layers.
  const [first] = part.members[0]!.title.split(' – ');
  return `${first} – ${part.members.at(-1)!.title.split(' – ').at(-1)}`;
}

function subtitleOf(part: Shown['part'], layers: readonly Layer[], scene: Scene): string {
  if (part.kind === 'stack') return `${part.members.length} × ${nounOf(part)}`;
  if (part.kind === 'block') return layers.length === 1 ? '1 layer' : `${layers.length} layers`;
  const { before, after } = scene.merged.layers.get(part.node.id)!;
  return (after ?? before)!.op;
}

/** What a step names to mean this part: names of the original model. */
function namesOf(part: Shown['part'], scene: Scene): readonly string[] {
  if (part.kind === 'stack')
    return part.members.every(({ whole }) => whole)
      ? stackNames(part, scene.before.graph)
      : part.members.flatMap((member) => namesOf(member, scene));
  if (part.kind === 'block' && part.whole) return [part.path];
  return [...new Set(originsOf(layersOf(part), scene))];
}

const originsOf = (layers: readonly Layer[], { merged }: Scene): string[] =>
  layers.map(({ node }) => merged.layers.get(node.id)?.before?.id ?? node.origin);

const scopePaths = new WeakMap<Graph, readonly string[]>();

/** One pattern where it means the members and nothing else (`/blocks.*`), their paths otherwise. */
function stackNames({ members }: Stack, graph: Graph): readonly string[] {
  const paths = members.map(({ path }) => path);
  const [first = ''] = paths;
  const stem = first.replace(/\d+$/, '');
  let scopes = scopePaths.get(graph);
  if (!scopes) {
    scopes = [...new Set(graph.order.flatMap(({ id, scope }) => [id, ...enclosingScopes(scope)]))];
    scopePaths.set(graph, scopes);
  }
  const matched = scopes.filter(
    (path) => path.startsWith(stem) && !path.includes('/', stem.length),
  );
  const exact = matched.length === paths.length && paths.every((path) => path.startsWith(stem));
  return stem !== first && !stem.endsWith('/') && exact ? [`${stem}*`] : paths;
}

// ---- state

function statusOf(looks: readonly Look[]): ViewNode['status'] {
  const [first] = looks;
  const one = first && looks.every(({ status }) => status === first.status);
  return one ? first.status : 'changed';
}

/** The family that touched most of the layers. */
function familyOf(looks: readonly Look[]): Family | null {
  const counts = new Map<Family, number>();
  for (const { family } of looks) if (family) counts.set(family, (counts.get(family) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? null;
}

function chipsOf(
  looks: readonly Look[],
  layers: readonly Layer[],
  shape: Shape | undefined,
  shapeBefore: Shape | undefined,
  rounding: Rounding | null,
  targetTitle: TargetTitle,
): Chip[] {
  const chips: Chip[] = [];
  const add = (text: string | null, family: Family | null) => {
    if (text !== null) chips.push({ text, family });
  };
  add(precisionText(looks) ?? (rounding?.leftOut ? 'float' : null), 'quantize');
  add(sparsityText(looks), 'prune');
  add(tokensText(layers, looks, shape, shapeBefore), 'tokens');
  add(assignedText(looks, targetTitle), 'target');
  const unknown = looks.filter((look) => look.unknown !== undefined).length;
  if (unknown > 0) {
    const text = looks.length === 1 ? 'cost unknown' : `${unknown} unknown`;
    chips.push({ text, family: null, warning: true });
  }
  return chips;
}

/** `W8A8`; with how many of the layers that multiply by weights, where it is not all of them. */
function precisionText(looks: readonly Look[]): string | null {
  const counts = new Map<string, number>();
  for (const { precision } of looks)
    if (precision !== null) counts.set(precision, (counts.get(precision) ?? 0) + 1);
  const [most] = [...counts].sort((a, b) => b[1] - a[1]);
  if (!most) return null;
  const of = looks.filter((look) => look.multiplies || look.precision !== null).length;
  return most[1] === of ? most[0] : `${most[0]} in ${most[1]} of ${of}`;
}

/** Share of zeros among the weights of a part. */
function sparsityText(looks: readonly Look[]): string | null {
  if (looks.every(({ density }) => density === undefined)) return null;
  let parameters = 0;
  let zeros = 0;
  for (const look of looks) {
    parameters += look.parameters;
    zeros += look.parameters * (1 - (look.density ?? 1));
  }
  const percent = Math.round((100 * zeros) / parameters);
  return percent > 0 ? `${percent} % sparse` : null;
}

const CONVOLUTIONS = /Conv|BatchNorm|InstanceNorm/;

/** `138/197 tokens`, where a sequence of vectors got shorter. A convolution's channels lie where tokens would. */
function tokensText(
  layers: readonly Layer[],
  looks: readonly Look[],
  shape: Shape | undefined,
  shapeBefore: Shape | undefined,
): string | null {
  if (shape?.length !== 3 || shapeBefore?.length !== 3 || shape[2] !== shapeBefore[2]) return null;
  const [is, was] = [shape[1], shapeBefore[1]];
  if (typeof is !== 'number' || typeof was !== 'number' || is >= was) return null;
  const channels = layers.some(
    ({ node }, i) => CONVOLUTIONS.test(node.op) && looks[i]!.shape?.length === 3,
  );
  return channels ? null : `${is}/${was} tokens`;
}

function assignedText(looks: readonly Look[], targetTitle: TargetTitle): string | null {
  const targets = new Set(looks.flatMap(({ assigned }) => assigned ?? []));
  const [only] = targets;
  if (only === undefined) return null;
  return targets.size === 1 ? targetTitle(only) : `${targets.size} targets`;
}

// ---- cost

function costOf(members: readonly Part[], { sums, tree }: Scene): NodeCost {
  const layers = members.reduce((n, part) => n + (part.kind === 'layer' ? 1 : part.layers), 0);
  return nodeCost(
    together(members, sums.before),
    together(members, sums.after),
    sums.after(tree),
    layers,
  );
}

function together(parts: readonly Part[], sumOf: Sums): Tally {
  const [only] = parts;
  if (only && parts.length === 1) return sumOf(only);
  const tally = emptyTally();
  for (const part of parts) addTally(tally, sumOf(part));
  return tally;
}

/** Latency of the parts of a folded block as shares of the block; of a stack, of its members' parts taken together. */
function stripOf(members: readonly Part[], sumOf: Sums): number[] {
  const [first] = members;
  if (first?.kind !== 'block') return [];
  const whole = together(members, sumOf);
  const blocks = members as readonly Block[];
  const tallies = first.children.map((_, i) =>
    together(
      blocks.map((block) => block.children[i]!),
      sumOf,
    ),
  );
  const shares = tallies.map((tally) => shareOf(tally, whole, 'latency') ?? 0);
  return shares.some((share) => share > 0) ? shortened(shares) : [];
}

/** Neighbours taken together until no more than the strip can show are left. */
function shortened(shares: readonly number[]): number[] {
  const parts = Math.min(shares.length, STRIP_PARTS);
  const out = new Array<number>(parts).fill(0);
  shares.forEach((share, i) => (out[Math.floor((i * parts) / shares.length)]! += share));
  return out;
}
