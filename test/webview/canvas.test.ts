import { describe, expect, it } from 'vitest';
import { detailAt, LEAST_TEXT, textSizeAt } from '../../webview/canvas/detail';
import { fitted, firstViewport } from '../../webview/canvas/fit';
import { toFlow } from '../../webview/canvas/flow';
import { heat, HEAT_STEPS, largestShare } from '../../webview/canvas/heat';
import { firstNode, neighbour, type Direction } from '../../webview/canvas/navigate';
import { wiresOf } from '../../webview/canvas/wires';
import { graphView, viewNode } from './viewNodes';

/** A stem, two branches side by side, their sum, and an open block with two layers below. */
const view = graphView(
  [
    viewNode('stem', { x: 200, y: 0 }),
    viewNode('left', { x: 100, y: 100 }),
    viewNode('right', { x: 300, y: 100 }),
    viewNode('sum', { x: 200, y: 200 }),
    viewNode('block', { kind: 'block', open: true, x: 150, y: 300, width: 200, height: 300 }),
    viewNode('block/a', { parent: 'block', x: 200, y: 340 }),
    viewNode('block/b', { parent: 'block', x: 200, y: 440 }),
  ],
  [
    ['stem', 'left'],
    ['stem', 'right'],
    ['left', 'sum'],
    ['right', 'sum'],
    ['sum', 'block/a'],
    ['block/a', 'block/b'],
    ['stem', 'sum'],
  ],
);

describe('arrow keys', () => {
  it.each<[string, Direction, string | null]>([
    ['left', 'down', 'sum'],
    ['left', 'up', 'stem'],
    ['left', 'right', 'right'],
    ['right', 'left', 'left'],
    ['right', 'right', null],
    ['sum', 'down', 'block/a'],
    ['block/a', 'up', 'sum'],
    ['block', 'down', 'block/a'],
    ['block', 'up', 'sum'],
    ['block/b', 'down', null],
    ['gone', 'down', 'stem'],
  ])('from %s %s is %s', (from, direction, to) => {
    expect(neighbour(view, from, direction)).toBe(to);
  });

  it('begin at the top', () => {
    expect(firstNode(view)).toBe('stem');
    expect(firstNode(view, 'block')).toBe('block/a');
    expect(firstNode(graphView([], []))).toBeNull();
  });
});

describe('text on screen', () => {
  it('never gets smaller than ten pixels', () => {
    for (let zoom = 0.04; zoom <= 2.5; zoom *= 1.01) {
      expect(textSizeAt(zoom) * zoom).toBeGreaterThanOrEqual(LEAST_TEXT);
      if (detailAt(zoom) === 'near') expect(12 * zoom).toBeGreaterThanOrEqual(LEAST_TEXT - 1e-9);
    }
  });

  it('says less the farther away', () => {
    expect([0.2, 0.6, 1].map(detailAt)).toEqual(['far', 'middle', 'near']);
  });
});

describe('viewports', () => {
  const size = { width: 800, height: 600 };

  it('fit the whole graph in the middle', () => {
    const { x, y, zoom } = fitted({ ...view, width: 400, height: 2000 }, size);
    expect(zoom * 2000).toBeLessThanOrEqual(size.height);
    expect(x + (400 * zoom) / 2).toBeCloseTo(400);
    expect(y + (2000 * zoom) / 2).toBeCloseTo(300);
  });

  it('show the top of a graph too long to read whole', () => {
    const first = firstViewport({ ...view, width: 400, height: 20_000 }, size);
    expect(first.zoom).toBe(1);
    expect(first.y).toBeGreaterThan(0);
  });

  it('survive an empty graph and an empty window', () => {
    const { x, y, zoom } = fitted({ ...view, width: 0, height: 0 }, { width: 0, height: 0 });
    expect([x, y, zoom].every(Number.isFinite)).toBe(true);
  });
});

describe('heat', () => {
  it('spreads shares over the palette, the largest on top', () => {
    expect(heat(0, 0.3)).toBe(0);
    expect(heat(0.3, 0.3)).toBe(HEAT_STEPS - 1);
    expect(heat(0.15, 0.3)).toBe(3);
    expect(heat(null, 0.3)).toBeNull();
    expect(heat(0, 0)).toBe(0);
  });

  it('ignores open blocks, which only frame their parts', () => {
    const share = (latency: number) => ({ ...viewNode('a').cost.share, latency });
    const cost = (latency: number) => ({ ...viewNode('a').cost, share: share(latency) });
    const nodes = [
      viewNode('block', { open: true, cost: cost(0.9) }),
      viewNode('layer', { cost: cost(0.2) }),
    ];
    expect(largestShare(nodes, 'latency')).toBe(0.2);
  });
});

describe('the flow', () => {
  it('keeps the identity of nodes that did not change', () => {
    const first = toFlow(view, 'latency', []);
    const copy = structuredClone(view);
    const next = toFlow(
      { ...copy, nodes: copy.nodes.map((node) => (node.id === 'sum' ? { ...node, x: 1 } : node)) },
      'latency',
      first,
    );
    expect(next.map((node, index) => node === first[index])).toEqual(
      first.map(({ id }) => id !== 'sum'),
    );
  });

  it('puts containers behind their parts', () => {
    const flow = toFlow(view, 'latency', []);
    const z = (id: string) => flow.find((node) => node.id === id)!.zIndex!;
    expect(z('block')).toBeLessThan(z('block/a'));
  });
});

describe('wires', () => {
  it('lead around what stands between their ends', () => {
    const column = graphView(
      [viewNode('a', { y: 0 }), viewNode('b', { y: 100 }), viewNode('c', { y: 200 })],
      [
        ['a', 'b'],
        ['b', 'c'],
        ['a', 'c'],
      ],
    );
    const [, , skip] = wiresOf(column);
    expect(skip!.box.right > 100 || skip!.box.left < 0).toBe(true);
    expect(wiresOf(column)[0]!.path).toContain('V100');
  });

  it('are left out where an end is not drawn', () => {
    expect(wiresOf(graphView([viewNode('a')], [['a', 'gone']]))).toEqual([]);
  });
});
