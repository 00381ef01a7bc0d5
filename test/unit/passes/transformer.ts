/** A transformer of two blocks and two heads, for tests; `post`: normalised behind its sums, `presents`: with keys as outputs. */
import type { Graph } from '../../../language/graph/graph';
import { ints, makeGraph, node, value, weight } from '../../models';

export function transformer({
  batch = 1,
  past = false,
  presents = false,
  post = false,
}: {
  batch?: number;
  past?: boolean;
  presents?: boolean;
  post?: boolean;
} = {}): Graph {
  const nodes = [];
  let stream = 'x';
  for (const i of [0, 1]) {
    const at = (name: string) => `${name}${i}`;
    const norm = post ? stream : at('norm');
    if (!post) nodes.push(node('LayerNormalization', [stream, 'gain'], [norm]));
    for (const name of ['q', 'k', 'v'])
      nodes.push(
        node('MatMul', [norm, `w${name}`], [at(`${name}flat`)]),
        node('Reshape', [at(`${name}flat`), 'split'], [at(`${name}split`)]),
        node('Transpose', [at(`${name}split`)], [at(name)], { perm: [0, 2, 1, 3] }),
      );
    const keys = past ? at('keys') : at('k');
    if (past) nodes.push(node('Concat', ['past', at('k')], [keys], { axis: 2 }));
    nodes.push(
      node('Transpose', [keys], [at('turned')], { perm: [0, 1, 3, 2] }),
      node('MatMul', [at('q'), at('turned')], [at('scores')]),
      node('Softmax', [at('scores')], [at('p')], { axis: -1 }),
      node('MatMul', [at('p'), past ? keys : at('v')], [at('mixed')]),
      node('Transpose', [at('mixed')], [at('turnedBack')], { perm: [0, 2, 1, 3] }),
      node('Reshape', [at('turnedBack'), 'join'], [at('context')]),
      node('MatMul', [at('context'), 'wo'], [at('branch')]),
      node('Add', [stream, at('branch')], [at('sum')]),
      node('LayerNormalization', [at('sum'), 'gain'], [at('norm2')]),
      node('MatMul', [at('norm2'), 'wo'], [at('mlp')]),
      node('Add', [post ? at('norm2') : at('sum'), at('mlp')], [at('out')]),
    );
    stream = at('out');
  }
  nodes.push(node('LayerNormalization', [stream, 'gain'], ['y']));
  return makeGraph({
    opset: 17,
    inputs: [value('x', [batch, 'n', 8]), ...(past ? [value('past', [batch, 2, 'past', 4])] : [])],
    outputs: [value('y', [batch, 'n', 8]), ...(presents ? [value('kflat1', [batch, 'n', 8])] : [])],
    nodes,
    weights: [
      ints('split', [0, 0, 2, 4]),
      ints('join', [0, 0, 8]),
      weight('gain', [8]),
      ...['wq', 'wk', 'wv', 'wo'].map((name, i) => weight(name, [8, 8], i + 1)),
    ],
  });
}
