import { describe, expect, it } from 'vitest';
import {
  blockPaths,
  blockTree,
  layersOf,
  positionsOf,
  type Part,
} from '../../../language/graph/blocks';
import type { Graph } from '../../../language/graph/graph';
import type { NodeRecord } from '../../../language/onnx/model';
import { makeGraph, node, value } from '../../models';

/** Nodes in a chain, by name; the operator is what the name ends with. */
function chain(...names: string[]): Graph {
  const nodes = names.map((name, i) =>
    node(operatorOf(name), [i === 0 ? 'x' : `v${i - 1}`], [`v${i}`], {}, name),
  );
  return graphOf(nodes, `v${names.length - 1}`);
}

const operatorOf = (name: string) => /[A-Z]\w*?(?=_\d+$|$)/.exec(name)?.[0] ?? 'Relu';

const graphOf = (nodes: NodeRecord[], output: string): Graph =>
  makeGraph({ inputs: [value('x', [1])], outputs: [value(output)], nodes });

const none = () => false;

/** The tree as text: blocks as `title[…]`, layers by their titles. */
const show = (part: Part): string =>
  part.kind === 'layer' ? part.title : `${part.title}[${part.children.map(show).join(' ')}]`;

/** The block of each node, named scopes and inferred sections alike. */
const pathsOf = (graph: Graph, plumbing: (node: { op: string }) => boolean) =>
  graph.order.map(blockPaths(blockTree(graph, plumbing)));

const treeOf = (graph: Graph) => show(blockTree(graph, none));

describe('the tree of blocks', () => {
  it.each([
    ['a scope with one layer is that layer', ['/conv1/Conv', '/bn1/act/Relu'], '[conv1 bn1/act]'],
    [
      'a scope with one scope is one with it, and repeated names are said once',
      ['/conv/Conv', '/layer1/layer1.0/conv1/Conv', '/layer1/layer1.0/Add'],
      '[conv layer1.0[conv1 Add]]',
    ],
    [
      'a wrapper around everything is the root',
      ['/model/net/a/Conv', '/model/net/b/Conv', '/model/net/Relu'],
      '[a b Relu]',
    ],
    [
      'blocks and layers come in the order of their first nodes',
      ['/a/Conv', '/Add', '/b/Conv', '/b/Relu', '/Mul'],
      '[a Add b[Conv Relu] Mul]',
    ],
    [
      'names with dots are scopes from three parts on',
      ['model.layers.0.attn.MatMul', 'model.layers.0.mlp.MatMul', 'model.norm.Mul'],
      '[layers.0[attn mlp] norm]',
    ],
    [
      'numbers are said with what they count',
      ['/features/0/0.1/Conv', '/features/0/Relu', '/features/1/Conv'],
      '[features.0[0.1 Relu] features.1]',
    ],
    ['names without scopes are layers of the root', ['Conv_0', 'Relu_1'], '[Conv_0 Relu_1]'],
  ])('%s', (_, names, expected) => {
    expect(treeOf(chain(...names))).toBe(expected);
  });

  it('reads the scopes that the newer exporter of PyTorch writes', () => {
    const scopes = [
      "['', 'layer1', 'layer1.0', 'layer1.0.conv1', 'conv2d']",
      "['', 'layer1', 'layer1.0', 'layer1.0.bn1', 'batch_norm']",
      "['', 'layer1', 'layer1.1', 'layer1.1.conv1', 'conv2d_1']",
      "['', 'fc', 'linear']",
    ];
    const nodes = scopes.map((text, i) => ({
      ...node('Relu', [i === 0 ? 'x' : `v${i - 1}`], [`v${i}`], {}, `node_Relu_${i}`),
      metadata: new Map([['pkg.torch.onnx.name_scopes', text]]),
    }));
    expect(treeOf(graphOf(nodes, 'v3'))).toBe('[layer1[layer1.0[conv1 bn1] layer1.1/conv1] fc]');
  });

  it('keeps a scope and a node of the same name apart', () => {
    expect(treeOf(chain('a/b', 'a/b/Conv', 'a/b/Relu', '/c'))).toBe('[a[b b[Conv Relu]] c]');
  });

  it('leaves plumbing out, and scopes that hold nothing else', () => {
    const graph = chain('/a/Conv', '/b/Constant', '/c/Conv', '/c/Constant_1');
    const tree = blockTree(graph, ({ op }) => op === 'Constant');
    expect(show(tree)).toBe('[a c]');
    expect(tree.layers).toBe(2);
  });

  it('is empty for an empty graph', () => {
    expect(blockTree(makeGraph({ inputs: [], outputs: [], nodes: [] }), none)).toMatchObject({
      children: [],
      layers: 0,
    });
  });

  it('does not follow a name deeper than code nests', () => {
    const deep = `/${'s/'.repeat(5000)}`;
    const tree = blockTree(chain(`${deep}Conv`, `${deep}t/Relu`, '/Add'), none);
    expect(layersOf(tree).map(({ node: { op } }) => op)).toEqual(['Conv', 'Relu', 'Add']);
  });
});

describe('scopes that run several times', () => {
  it('are one block for each visit', () => {
    const graph = chain('a/c1/Conv', 'a/relu/Relu', 'a/c2/Conv', 'a/relu/Relu_1', 'b/Conv');
    expect(treeOf(graph)).toBe('[a[c1 relu c2 relu #2] b]');
  });

  it('name the same scope, and say that they are not all of it', () => {
    const names = ['m/a/Conv', 'm/a/Relu', 'm/f/Mul', 'm/a/Conv_1', 'm/a/Relu_1', 'g/Add'];
    const [outer] = blockTree(chain(...names), none).children;
    const visits = outer?.kind === 'block' ? outer.children : [];
    expect(visits.map((part) => part.kind === 'block' && [part.path, part.whole])).toEqual([
      ['/m/a', false],
      false,
      ['/m/a#2', false],
    ]);
  });

  it('stay whole when branches merely alternate in the file', () => {
    const nodes = [
      node('Conv', ['x'], ['a0'], {}, 'a/Conv'),
      node('Conv', ['x'], ['b0'], {}, 'b/Conv'),
      node('Relu', ['a0'], ['a1'], {}, 'a/Relu'),
      node('Relu', ['b0'], ['b1'], {}, 'b/Relu'),
      node('Add', ['a1', 'b1'], ['y'], {}, 'Add'),
    ];
    expect(treeOf(graphOf(nodes, 'y'))).toBe('[a[Conv Relu] b[Conv Relu] Add]');
  });
});

describe('strays', () => {
  it('belong to the innermost scope around what they read and what reads them', () => {
    const graph = chain('/blk/qkv/MatMul', 'Split_7', 'Cast_9', '/blk/Softmax', '/head/Gemm');
    expect(treeOf(graph)).toBe('[blk[qkv Split_7 Cast_9 Softmax] head]');
  });

  it('between two blocks, or said to be of the root, are of the root', () => {
    const graph = chain('/a/Conv', '/a/Relu', 'Flatten_3', '/b/Gemm', '/Add', '/b/Relu');
    expect(treeOf(graph)).toBe('[a[Conv Relu] Flatten_3 b Add b #2]');
  });
});

describe('positions', () => {
  it('number the layers of every block in one range', () => {
    const tree = blockTree(chain('/a/b/Conv', '/a/b/Relu', '/a/Add', '/c/Conv', '/c/Relu'), none);
    const { layers, index, ranges } = positionsOf(tree);
    expect(layers.map(({ node: { id } }) => index.get(id))).toEqual([0, 1, 2, 3, 4]);
    expect(Object.fromEntries(ranges)).toEqual({
      '': [0, 5],
      '/a': [0, 3],
      '/a/b': [0, 2],
      '/c': [3, 5],
    });
  });
});

describe('long lists without names', () => {
  const block = ['Conv', 'Relu', 'Conv', 'Add'];
  const flat = (ops: readonly string[]) => {
    const nodes: NodeRecord[] = [];
    ops.forEach((op, i) => {
      const reads = op === 'Add' ? [i - 1, i - block.length] : [i - 1];
      const inputs = reads.map((source) => (source < 0 ? 'x' : `v${source}`));
      nodes.push(node(op, inputs, [`v${i}`], {}, `${op}_${i}`));
    });
    return blockTree(graphOf(nodes, `v${ops.length - 1}`), none);
  };

  it('are put into repeats where they repeat', () => {
    const tree = flat(['Sqrt', 'Abs', 'Tanh', ...Array.from({ length: 12 }, () => block).flat()]);
    const [, , , run] = tree.children;
    expect(tree.children.length).toBe(4);
    const units = run?.kind === 'block' ? run.children : [];
    expect(units).toHaveLength(12);
    for (const unit of units) expect(layersOf(unit).map(({ node: { op } }) => op)).toEqual(block);
    expect(run).toMatchObject({ title: 'Conv_3 – Add_50', whole: false, layers: 48 });
  });

  it('are put into sections of a readable length where they do not', () => {
    const operators = ['Abs', 'Exp', 'Sqrt', 'Tanh', 'Relu', 'Neg', 'Ceil', 'Floor'];
    let state = 5;
    const next = () => (state = (state * 75 + 74) % 65537);
    const tree = flat(Array.from({ length: 150 }, () => operators[next() % 8]!));
    expect(layersOf(tree)).toHaveLength(150);
    expect(tree.children.length).toBeLessThan(25);
    for (const part of tree.children)
      if (part.kind === 'block') expect(part.layers).toBeLessThan(25);
  });

  it('keep every layer once, in order', () => {
    const tree = flat([...Array.from({ length: 30 }, () => block).flat(), 'Exp', 'Tanh']);
    const ids = layersOf(tree).map(({ node: { id } }) => Number(id.split('_')[1]));
    expect(ids).toEqual(Array.from({ length: 122 }, (_, i) => i));
  });

  it('are left as they are while they are short', () => {
    expect(flat(Array.from({ length: 10 }, () => block).flat()).children).toHaveLength(40);
  });
});

describe('the block of a node', () => {
  const isConstant = ({ op }: { op: string }) => op === 'Constant';

  it('is the innermost of the tree', () => {
    const graph = chain('/a/b/Conv', '/a/b/Relu', '/a/Add', '/Mul');
    expect(pathsOf(graph, none)).toEqual(['/a/b', '/a/b', '/a', '']);
  });

  it('is that of the scope for what is no layer', () => {
    const graph = graphOf(
      [
        node('Conv', ['x'], ['c'], {}, '/a/b/Conv'),
        node('Constant', [], ['k'], {}, '/a/b/inner/Constant'),
        node('Mul', ['c', 'k'], ['m'], {}, '/a/b/Mul'),
        node('Relu', ['m'], ['y'], {}, '/Relu'),
      ],
      'y',
    );
    expect(pathsOf(graph, isConstant)).toEqual(['/a', '/a', '/a', '']);
  });

  it('is an inferred section where names are flat', () => {
    const graph = chain(
      ...Array.from({ length: 20 }, (_, k) =>
        ['Conv', 'Relu', 'Tanh'].map((op) => `${op}_${k}`),
      ).flat(),
    );
    const paths = pathsOf(graph, none);
    expect(new Set(paths).size).toBe(20);
    expect(paths.slice(0, 4)).toEqual([paths[0], paths[0], paths[0], paths[3]]);
    expect(paths[0]).toMatch(/§Conv_0$/);
  });
});
