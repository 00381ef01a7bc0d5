import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { bindShapes } from '../../../../language/graph/bindings';
import { Graph } from '../../../../language/graph/graph';
import { roles, type Findings } from '../../../../language/graph/match/roles';
import { inferShapes } from '../../../../language/graph/shapes/infer';
import { readModelFile } from '../../../../language/onnx/read';
import { shared } from '../../../shared';

function findingsOf(file: string): Findings {
  const graph = Graph.of(readModelFile(file));
  return roles(graph, inferShapes(graph, bindShapes(graph, {}))).findings;
}

/** What a model is made of, in few words: the structure that its architecture has by definition. */
function summary(findings: Findings): string {
  const { attentions, mlps, mambas, streams, convChains, embeddings, heads, norms } = findings;
  const blocks = mlps.filter(({ residual }) => residual !== undefined);
  const longest = [...streams].sort((a, b) => b.residuals.length - a.residuals.length)[0];
  const [attention] = attentions;
  const [mlp] = blocks;
  const parts = [
    attention &&
      `${attentions.length} attention ${attention.heads}/${attention.keyHeads}×${attention.headSize}`,
    mlp && `${blocks.length} mlp ${mlp.kind} ${mlp.hidden}`,
    mambas[0] && `${mambas.length} mamba of ${mambas[0].scans.length} ${mambas[0].in?.to}`,
    convChains.length > 0 && `${convChains.length} conv chains`,
    longest && `stream ${longest.residuals.length}×${longest.width}`,
    `${norms.length} norms`,
    embeddings.patches[0] && `patches ${embeddings.patches[0].width}`,
    embeddings.tables[0] && `table ${embeddings.tables[0].entries}`,
    embeddings.classTokens[0] && `class token at ${embeddings.classTokens[0].at}`,
    heads.length > 0 && `head by ${heads[0]!.pool.kind}`,
  ];
  return parts.filter(Boolean).join(', ');
}

const STRUCTURE: readonly [file: string, structure: string][] = [
  [
    'trained/deit-cifar10',
    '9 attention 5/5×32, 9 mlp plain 640, stream 18×160, 19 norms, patches 160, class token at 0, head by token',
  ],
  [
    'trained/dit-mnist',
    '6 attention 4/4×32, 6 mlp plain 512, stream 12×128, 13 norms, patches 128, table 11, head by none',
  ],
  [
    'trained/llama-shakespeare',
    '8 attention 8/4×32, 8 mlp gated 640, stream 16×256, 17 norms, table 1024, head by none',
  ],
  [
    'trained/mamba-shakespeare',
    '12 mamba of 1 1024, stream 12×256, 13 norms, table 65, head by none',
  ],
  ['trained/mobilenetv2-cifar10', '11 conv chains, stream 2×32, 0 norms, head by mean'],
  ['trained/resnet20-cifar10', '9 conv chains, stream 9×16, 21 norms, head by mean'],
  [
    'samples/shapes-vit',
    '8 attention 3/3×32, 8 mlp plain 192, stream 16×96, 17 norms, patches 96, class token at 0, head by token',
  ],
  [
    'samples/shapes-swin',
    '6 attention 2/2×20, 6 mlp plain 120, stream 8×80, 15 norms, patches 40, head by mean',
  ],
  [
    'samples/shapes-vim',
    '5 mamba of 2 384, stream 5×96, 6 norms, patches 96, class token at 32, head by token',
  ],
  [
    'samples/shapes-dit',
    '6 attention 3/3×32, 6 mlp plain 192, stream 12×96, 13 norms, patches 96, table 17, head by none',
  ],
  [
    'samples/video-dit',
    '4 attention 3/3×32, 4 mlp plain 192, stream 8×96, 9 norms, patches 96, head by none',
  ],
  [
    'samples/video-ar',
    '6 attention 4/4×24, 6 mlp plain 288, stream 12×96, 13 norms, table 65, head by none',
  ],
  [
    'samples/text-llama',
    '6 attention 6/2×16, 6 mlp gated 160, stream 12×96, 13 norms, table 96, head by none',
  ],
  [
    'samples/text-opt',
    '5 attention 6/6×16, 5 mlp plain 288, stream 10×96, 11 norms, table 96, head by none',
  ],
  ['samples/text-mamba', '6 mamba of 1 320, stream 6×80, 7 norms, table 96, head by none'],
  ['samples/shapes-resnet', '9 conv chains, stream 9×16, 21 norms, head by mean'],
  [
    'found/cifar10_vit_pgd_2_3_16',
    '2 attention 3/3×16, 2 mlp plain 96, stream 4×48, 5 norms, patches 48, class token at 0, head by mean',
  ],
  [
    'found/nanogpt_opset11',
    '4 attention 4/4×16, 4 mlp plain 256, stream 8×64, 9 norms, table 65, head by none',
  ],
  ['found/imagenet_mobilenetv2_fp32', '17 conv chains, stream 3×64, 0 norms, head by mean'],
  ['found/light_resnet50', '16 conv chains, stream 16×256, 53 norms, head by mean'],
];

const models = shared('models');
describe.skipIf(!models)('roles in trained models (need ../shared)', () => {
  it.each(STRUCTURE)('%s has the structure of its architecture', (name, structure) => {
    expect(summary(findingsOf(path.join(models!, `${name}.onnx`)))).toBe(structure);
  });

  it('finds rotary positions, shared keys, caches and shifted windows where they are', () => {
    const of = (name: string) =>
      findingsOf(path.join(models!, `samples/${name}.onnx`)).attentions.flatMap((found) =>
        found.kind === 'decomposed' ? [found] : [],
      );
    expect(of('text-llama').every(({ rotary }) => rotary)).toBe(true);
    expect(of('shapes-vit').some(({ rotary }) => rotary)).toBe(false);
    expect(of('video-ar').map(({ cache }) => cache.keys)).toEqual(
      [0, 1, 2, 3, 4, 5].map((layer) => `past.${layer}.key`),
    );
    expect(of('shapes-swin').map(({ masks }) => masks.length)).toEqual([1, 2, 1, 2, 1, 2]);
  });
});
