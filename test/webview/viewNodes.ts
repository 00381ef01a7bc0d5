/** Nodes for tests: everything that a test does not name is plain. */
import type { GraphView, ViewNode } from '../../language/protocol';

const NOTHING = { before: 0, after: 0 };

export function viewNode(id: string, patch: Partial<ViewNode> = {}): ViewNode {
  return {
    id,
    kind: 'layer',
    parent: null,
    at: [id],
    title: id,
    subtitle: 'Conv',
    shape: '1 × 8',
    shapeBefore: null,
    open: false,
    foldable: false,
    x: 0,
    y: 0,
    width: 100,
    height: 50,
    status: 'kept',
    family: null,
    chips: [],
    rounding: null,
    cost: {
      macs: NOTHING,
      parameters: NOTHING,
      latencyMs: NOTHING,
      energyMj: NOTHING,
      activationBytes: NOTHING,
      share: { latency: 0, energy: 0, macs: 0, parameters: 0, activations: 0 },
      bound: '',
      unknown: null,
    },
    strip: [],
    ...patch,
  };
}

export function graphView(
  nodes: readonly ViewNode[],
  edges: readonly [string, string][],
): GraphView {
  return {
    nodes,
    edges: edges.map(([from, to]) => ({
      id: `${from}>${to}`,
      from,
      to,
      label: '',
      status: 'kept',
    })),
    width: 1000,
    height: 1000,
  };
}
