/** Small models with invented but consistent sizes, as trees of blocks and layers. */

export interface Layer {
  readonly kind: 'layer';
  readonly id: string;
  readonly title: string;
  readonly op: string;
  /** Output shape; `T` stands for the number of tokens. */
  readonly shape: string;
  /** For a token-wise layer, per token. */
  readonly macs: number;
  readonly parameters: number;
  /** Ids of layers and inputs that it reads. */
  readonly from: readonly string[];
  /** How its work grows with the tokens: not, evenly, or with their square. */
  readonly tokens: 0 | 1 | 2;
}

export interface Block {
  readonly kind: 'block';
  readonly id: string;
  readonly title: string;
  /** Blocks of the same type one after the other fold into a stack. */
  readonly type: string;
  readonly parts: readonly Part[];
}

export type Part = Layer | Block;

export interface Model {
  readonly name: string;
  readonly input: { readonly name: string; readonly shape: string };
  readonly output: { readonly name: string; readonly shape: string; readonly from: string };
  readonly parts: readonly Part[];
  readonly free: readonly string[];
}

export function layersOf(parts: readonly Part[]): Layer[] {
  return parts.flatMap((part) => (part.kind === 'layer' ? [part] : layersOf(part.parts)));
}

type LayerSpec = Partial<Pick<Layer, 'macs' | 'parameters' | 'tokens'>>;

function layer(
  id: string,
  op: string,
  shape: string,
  from: readonly string[],
  spec: LayerSpec = {},
): Layer {
  return {
    kind: 'layer',
    id,
    title: id.split('/').at(-1)!,
    op,
    shape,
    from,
    macs: spec.macs ?? 0,
    parameters: spec.parameters ?? 0,
    tokens: spec.tokens ?? 0,
  };
}

export function vit(blocks = 12): Model {
  const width = 192;
  const parts: Part[] = [
    layer('/patch_embed', 'Conv', `1×${width}×14×14`, ['image'], {
      macs: 28_901_376,
      parameters: 147_648,
    }),
    layer('/pos_embed', 'Add', `1×197×${width}`, ['/patch_embed'], { parameters: 37_824 }),
  ];
  let last = '/pos_embed';
  for (let index = 0; index < blocks; index++) {
    parts.push(vitBlock(index, width, last));
    last = `/blocks.${index}/add2`;
  }
  parts.push(
    layer('/norm', 'LayerNormalization', `1×T×${width}`, [last], {
      parameters: 384,
      tokens: 1,
    }),
    layer('/head', 'Gemm', '1×1000', ['/norm'], { macs: 192_000, parameters: 193_000 }),
  );
  return {
    name: 'deit-tiny.onnx',
    input: { name: 'image', shape: '1×3×224×224' },
    output: { name: 'logits', shape: '1×1000', from: '/head' },
    parts,
    free: [],
  };
}

function vitBlock(index: number, width: number, input: string): Block {
  const root = `/blocks.${index}`;
  const token = { tokens: 1 } as const;
  const linear = (wide: number, out: number) =>
    ({ macs: wide * out, parameters: wide * out + out, tokens: 1 }) as const;
  const shape = `1×T×${width}`;
  const at = (name: string) => `${root}/${name}`;
  return {
    kind: 'block',
    id: root,
    title: `blocks.${index}`,
    type: 'Block',
    parts: [
      layer(at('norm1'), 'LayerNormalization', shape, [input], { ...token, parameters: 2 * width }),
      {
        kind: 'block',
        id: at('attn'),
        title: 'attn',
        type: 'Attention',
        parts: [
          layer(
            at('attn/qkv'),
            'MatMul',
            `1×T×${3 * width}`,
            [at('norm1')],
            linear(width, 3 * width),
          ),
          layer(at('attn/scores'), 'MatMul', '1×3×T×T', [at('attn/qkv')], {
            macs: width,
            tokens: 2,
          }),
          layer(at('attn/softmax'), 'Softmax', '1×3×T×T', [at('attn/scores')]),
          layer(at('attn/mix'), 'MatMul', shape, [at('attn/softmax'), at('attn/qkv')], {
            macs: width,
            tokens: 2,
          }),
          layer(at('attn/proj'), 'MatMul', shape, [at('attn/mix')], linear(width, width)),
        ],
      },
      layer(at('add1'), 'Add', shape, [at('attn/proj'), input], token),
      layer(at('norm2'), 'LayerNormalization', shape, [at('add1')], {
        ...token,
        parameters: 2 * width,
      }),
      {
        kind: 'block',
        id: at('mlp'),
        title: 'mlp',
        type: 'Mlp',
        parts: [
          layer(
            at('mlp/fc1'),
            'MatMul',
            `1×T×${4 * width}`,
            [at('norm2')],
            linear(width, 4 * width),
          ),
          layer(at('mlp/gelu'), 'Gelu', `1×T×${4 * width}`, [at('mlp/fc1')], token),
          layer(at('mlp/fc2'), 'MatMul', shape, [at('mlp/gelu')], linear(4 * width, width)),
        ],
      },
      layer(at('add2'), 'Add', shape, [at('mlp/fc2'), at('add1')], token),
    ],
  };
}

export function resnet(): Model {
  const parts: Part[] = [
    conv('/conv1', 3, 64, 32, ['image']),
    layer('/relu', 'Relu', '1×64×32×32', ['/conv1']),
  ];
  let last = '/relu';
  let channels = 64;
  let size = 32;
  for (const stage of [1, 2, 3, 4])
    for (const index of [0, 1]) {
      const wide = 64 * 2 ** (stage - 1);
      const shrinks = wide !== channels;
      if (shrinks) size /= 2;
      parts.push(basicBlock(`/layer${stage}.${index}`, channels, wide, size, last, shrinks));
      last = `/layer${stage}.${index}/relu2`;
      channels = wide;
    }
  parts.push(
    layer('/avgpool', 'GlobalAveragePool', '1×512×1×1', [last]),
    layer('/flatten', 'Flatten', '1×512', ['/avgpool']),
    layer('/fc', 'Gemm', '1×10', ['/flatten'], { macs: 5120, parameters: 5130 }),
  );
  return {
    name: 'shapes-resnet.onnx',
    input: { name: 'image', shape: 'batch×3×32×32' },
    output: { name: 'class', shape: '1×10', from: '/fc' },
    parts,
    free: ['batch'],
  };
}

function conv(
  id: string,
  wide: number,
  out: number,
  size: number,
  from: readonly string[],
  kernel = 3,
): Layer {
  const weights = wide * out * kernel ** 2;
  return layer(id, 'Conv', `1×${out}×${size}×${size}`, from, {
    macs: weights * size ** 2,
    parameters: weights + out,
  });
}

function basicBlock(
  root: string,
  wide: number,
  out: number,
  size: number,
  input: string,
  shrinks: boolean,
): Block {
  const shape = `1×${out}×${size}×${size}`;
  const at = (name: string) => `${root}/${name}`;
  const shortcut = shrinks ? [conv(at('downsample'), wide, out, size, [input], 1)] : [];
  return {
    kind: 'block',
    id: root,
    title: root.slice(1),
    type: 'BasicBlock',
    parts: [
      conv(at('conv1'), wide, out, size, [input]),
      layer(at('relu1'), 'Relu', shape, [at('conv1')]),
      conv(at('conv2'), out, out, size, [at('relu1')]),
      ...shortcut,
      layer(at('add'), 'Add', shape, [at('conv2'), shrinks ? at('downsample') : input]),
      layer(at('relu2'), 'Relu', shape, [at('add')]),
    ],
  };
}
