/** What each node of a model is there for: all that the matchers find, and an index of roles by node. */
import type { Facts } from '../facts';
import type { Graph } from '../graph';
import { findActivations, type Activation } from './activation';
import { findAttentions, type Attention } from './attention';
import { findConvBlocks, findConvChains, type ConvBlock, type ConvChain } from './conv';
import { findEmbeddings, type Embeddings } from './embedding';
import { findHeads, type Head } from './head';
import { findLinears, type Linear } from './linear';
import { findMambas, type Mamba } from './mamba';
import { findMlps, type Mlp } from './mlp';
import { findNorms, type Norm } from './norm';
import { findResiduals, streamsOf, type Residual, type Stream } from './residual';
import { View } from './view';

export interface Findings {
  readonly linears: readonly Linear[];
  readonly activations: readonly Activation[];
  readonly norms: readonly Norm[];
  readonly attentions: readonly Attention[];
  readonly mlps: readonly Mlp[];
  readonly convBlocks: readonly ConvBlock[];
  readonly convChains: readonly ConvChain[];
  readonly embeddings: Embeddings;
  readonly mambas: readonly Mamba[];
  readonly residuals: readonly Residual[];
  readonly streams: readonly Stream[];
  readonly heads: readonly Head[];
}

export interface Roles {
  readonly findings: Findings;
  of(node: string): readonly string[];
  /** Nodes by role; roles that nothing has are absent. */
  readonly nodes: ReadonlyMap<string, ReadonlySet<string>>;
}

export function roles(graph: Graph, facts: Facts): Roles {
  const findings = findAll(new View(graph, facts));
  const nodes = new Map<string, Set<string>>();
  const byNode = new Map<string, Set<string>>();
  for (const [role, ids] of assigned(findings))
    for (const id of ids) {
      setOf(nodes, role).add(id);
      setOf(byNode, id).add(role);
    }
  return { findings, nodes, of: (node) => [...(byNode.get(node) ?? [])] };
}

function setOf(sets: Map<string, Set<string>>, key: string): Set<string> {
  let set = sets.get(key);
  if (!set) sets.set(key, (set = new Set()));
  return set;
}

function findAll(view: View): Findings {
  const linears = findLinears(view);
  const activations = findActivations(view);
  const norms = findNorms(view);
  const convBlocks = findConvBlocks(view, norms, activations);
  const mambas = findMambas(view, linears, convBlocks);
  const arithmetic = new Set(mambas.flatMap(({ skips, scans }) => [...skips, ...scans.flat()]));
  const residuals = findResiduals(view).filter(({ sum }) => !arithmetic.has(sum));
  return {
    linears: linears.all,
    activations: activations.all,
    norms: norms.all,
    attentions: findAttentions(view, linears),
    mlps: findMlps(view, linears, activations, residuals),
    convBlocks,
    convChains: findConvChains(view, convBlocks, residuals),
    embeddings: findEmbeddings(view, linears, norms),
    mambas,
    residuals,
    streams: streamsOf(view, residuals, norms, activations),
    heads: findHeads(view, { linears, blocks: convBlocks, norms, activations, residuals }),
  };
}

type Assignment = readonly [role: string, nodes: readonly string[]];

function assigned(findings: Findings): Assignment[] {
  const { attentions, mlps, norms, activations, embeddings, mambas, residuals, heads } = findings;
  const nodesOf = (items: readonly { readonly node: string }[]) => items.map(({ node }) => node);
  return [
    ...attentions.flatMap(attentionRoles),
    ...mlps.flatMap(mlpRoles),
    ...norms.flatMap(({ kind, nodes }): Assignment[] => [
      ['norm', nodes],
      [`norm.${kind}`, nodes],
    ]),
    ...activations.map(({ kind, nodes }): Assignment => [`activation.${kind}`, nodes]),
    ['patch-embedding', nodesOf(embeddings.patches)],
    ['embedding', nodesOf(embeddings.tables)],
    ['position-embedding', nodesOf(embeddings.positions)],
    ['class-token', nodesOf(embeddings.classTokens)],
    ['head', nodesOf(heads)],
    ['residual', residuals.map(({ sum }) => sum)],
    ...mambas.flatMap(mambaRoles),
    ...convRoles(findings),
  ];
}

function attentionRoles(attention: Attention): Assignment[] {
  const { q, k, v, output } = attention;
  const projections = [q, k, v].flatMap((linear) => linear?.node ?? []);
  const isPacked = projections.length === 3 && new Set(projections).size === 1;
  const own: Assignment[] = isPacked
    ? [['attention.qkv', [q!.node]]]
    : [
        ['attention.q', q ? [q.node] : []],
        ['attention.k', k ? [k.node] : []],
        ['attention.v', v ? [v.node] : []],
      ];
  const last: Assignment = ['attention.output', output ? [output.node] : []];
  if (attention.kind === 'fused') return [...own, ['attention.fused', [attention.node]], last];
  const { core, scale, masks } = attention;
  return [
    ...own,
    ['attention.scores', [core.scores.id]],
    ['attention.scale', scale.nodes],
    ['attention.mask', masks.map(({ node }) => node)],
    ['attention.softmax', [core.softmax.id]],
    ['attention.context', [core.product.id]],
    last,
  ];
}

const mlpRoles = ({ up, gate, down, activation }: Mlp): Assignment[] => [
  ['mlp.up', [up.node]],
  ['mlp.gate', gate ? [gate.node] : []],
  ['mlp.activation', activation.nodes],
  ['mlp.down', [down.node]],
];

const mambaRoles = (mamba: Mamba): Assignment[] => [
  ['mamba.in', mamba.in ? [mamba.in.node] : []],
  ['mamba.conv', mamba.convs],
  ['mamba.selection', mamba.selection.map(({ node }) => node)],
  ['mamba.scan', mamba.scans.flat()],
  ['mamba.out', mamba.out ? [mamba.out.node] : []],
];

/** Convolutions that are blocks of their own, not parts of a mixer or an embedding. */
function convRoles({ convBlocks, convChains, mambas, embeddings }: Findings): Assignment[] {
  const elsewhere = new Set([
    ...mambas.flatMap(({ convs }) => convs),
    ...embeddings.patches.map(({ node }) => node),
  ]);
  const blocks = convBlocks.filter(({ node }) => !elsewhere.has(node));
  return [
    ['conv.block', blocks.map(({ node }) => node)],
    ...blocks.map(({ kind, node }): Assignment => [`conv.${kind}`, [node]]),
    ...convChains.map(({ kind, blocks: chain }): Assignment => [
      `conv.${kind}`,
      chain.map(({ node }) => node),
    ]),
  ];
}
