import { int64Tensor } from '../../../../language/onnx/tensor';
import { bools, floats, floatScalar, int64, int64Of, int64Scalar } from './notation';
import { check } from './rows';

check('elementwise', [
  ['Add', ['float32[B,1,4]', 'float32[3,1]'], {}, ['float32[B,3,4]']],
  ['Add', ['float32[B,4]', 'float32[7,4]'], {}, ['float32[7,4]']],
  [
    'Add',
    ['float32[2,3,4]', 'float32[3]'],
    { broadcast: 1, axis: 1 },
    ['float32[2,3,4]'],
    { opset: 6 },
  ],
  ['Pow', ['float32[2]', 'int64[2]'], {}, ['float32[2]']],
  ['Greater', ['float32[B,4]', 'float32[]'], {}, ['bool[B,4]']],
  ['Where', ['bool[B,1]', 'float32[1,4]', 'float32[]'], {}, ['float32[B,4]']],
  ['Max', ['float32[3,1]', 'float32[1,4]', 'float32[]'], {}, ['float32[3,4]']],
  ['Cast', ['float32[B]'], { to: 10 }, ['float16[B]']],
  ['Cast', ['float32[B]'], { to: 'INT64' }, ['int64[B]'], { opset: 5 }],
  ['CastLike', ['float32[B]', 'bfloat16[]'], {}, ['bfloat16[B]']],
  ['Dropout', ['float32[B,4]'], {}, ['float32[B,4]', 'bool[B,4]']],
  ['Dropout', ['float32[B,4]'], {}, ['float32[B,4]', 'float32[B,4]'], { opset: 7 }],
  ['IsNaN', ['float32[B]'], {}, ['bool[B]']],
]);

check('reductions', [
  ['ReduceMean', ['float32[B,4,5]'], { axes: [-1] }, ['float32[B,4,1]']],
  ['ReduceMean', ['float32[B,4,5]'], { axes: [1, 2], keepdims: 0 }, ['float32[B]']],
  ['ReduceSum', ['float32[B,4,5]', int64(1)], { keepdims: 0 }, ['float32[B,5]']],
  ['ReduceSum', ['float32[B,4,5]'], { keepdims: 0 }, ['float32[]']],
  [
    'ReduceMax',
    ['float32[B,4]', int64()],
    { noop_with_empty_axes: 1 },
    ['float32[B,4]'],
    { opset: 18 },
  ],
  ['ReduceSum', ['float32[B,4,5]', 'int64[1]'], { keepdims: 0 }, ['float32[?,?]']],
  ['ArgMax', ['float32[B,4]'], { axis: 1 }, ['int64[B,1]']],
  ['TopK', ['float32[B,9]', int64(4)], {}, ['float32[B,4]', 'int64[B,4]']],
  ['TopK', ['float32[B,9]'], { k: 4 }, ['float32[B,4]', 'int64[B,4]'], { opset: 1 }],
  ['CumSum', ['float32[B,9]', int64Scalar(1)], {}, ['float32[B,9]']],
]);

check('reshaping', [
  ['Reshape', ['float32[B,12,64]', int64(0, -1, 32)], {}, ['float32[B,24,32]']],
  ['Reshape', ['float32[B,12,64]', int64(-1, 64)], {}, ['float32[12*B,64]']],
  ['Reshape', ['float32[0,4]', int64(0, 2)], { allowzero: 1 }, ['float32[0,2]']],
  ['Reshape', ['float32[2,3]'], { shape: [3, 2] }, ['float32[3,2]'], { opset: 1 }],
  ['Reshape', ['float32[2,3]', 'int64[3]'], {}, ['float32[?,?,?]']],
  ['Flatten', ['float32[B,3,4,5]'], {}, ['float32[B,60]']],
  ['Flatten', ['float32[B,3,4,5]'], { axis: -1 }, ['float32[12*B,5]']],
  ['Flatten', ['float32[2,3]'], { axis: 0 }, ['float32[1,6]']],
  ['Squeeze', ['float32[B,1,4,1]'], { axes: [1, -1] }, ['float32[B,4]'], { opset: 11 }],
  ['Squeeze', ['float32[B,1,4,1]', int64(1)], {}, ['float32[B,4,1]']],
  ['Squeeze', ['float32[2,1,4,1]'], {}, ['float32[2,4]']],
  ['Unsqueeze', ['float32[B,4]', int64(0, -1)], {}, ['float32[1,B,4,1]']],
  ['Unsqueeze', ['float32[B,4]'], { axes: [2, 1] }, ['float32[B,1,1,4]'], { opset: 11 }],
  ['Expand', ['float32[B,1,4]', int64(2, 1, 3, 1)], {}, ['float32[2,B,3,4]']],
  ['Transpose', ['float32[B,4,5]'], {}, ['float32[5,4,B]']],
  ['Transpose', ['float32[B,4,5]'], { perm: [0, 2, 1] }, ['float32[B,5,4]']],
  ['Shape', ['float32[B,4,5]'], { start: 1 }, ['int64[2]']],
  ['Size', ['float32[B,4]'], {}, ['int64[]']],
]);

check('movement', [
  ['Concat', ['float32[B,past,4]', 'float32[B,new,4]'], { axis: 1 }, ['float32[B,new + past,4]']],
  ['Concat', ['float32[B,2]', 'float32[3,?]'], { axis: -1 }, ['float32[3,?]']],
  [
    'Split',
    ['float32[B,7]'],
    { axis: 1, num_outputs: 3 },
    ['float32[B,3]', 'float32[B,3]', 'float32[B,1]'],
    { opset: 18 },
  ],
  ['Split', ['float32[B,6]'], { axis: 1 }, ['float32[B,3]', 'float32[B,3]'], { opset: 11 }],
  ['Split', ['float32[B,6]', int64(1, 5)], { axis: -1 }, ['float32[B,1]', 'float32[B,5]']],
  [
    'Split',
    ['float32[B,6]'],
    { axis: 1, split: [2, 4] },
    ['float32[B,2]', 'float32[B,4]'],
    { opset: 11 },
  ],
  [
    'Slice',
    ['float32[B,10]'],
    { starts: [2], ends: [-1], axes: [1] },
    ['float32[B,7]'],
    { opset: 9 },
  ],
  ['Slice', ['float32[B,10]', int64(1), int64(9), int64(1), int64(3)], {}, ['float32[B,3]']],
  ['Slice', ['float32[10]', int64(-1), int64(-100), int64(0), int64(-1)], {}, ['float32[10]']],
  ['Slice', ['float32[S,4]', int64(1), int64(2 ** 31 - 1), int64(0)], {}, ['float32[S - 1,4]']],
  ['Slice', ['float32[S,4]', int64(0), int64(1), int64(0)], {}, ['float32[1,4]']],
  ['Slice', ['float32[S,4]', int64(0), int64(-1), int64(0), int64(2)], {}, ['float32[S//2,4]']],
  ['Slice', ['float32[S,4]', 'int64[1]', 'int64[1]'], {}, ['float32[?,4]']],
  ['Pad', ['float32[B,4]', int64(0, 1, 0, 2)], {}, ['float32[B,7]']],
  ['Pad', ['float32[B,4]'], { pads: [0, 1, 0, -2] }, ['float32[B,3]'], { opset: 10 }],
  ['Pad', ['float32[B,4,5]', int64(1, 2), null, int64(-1)], {}, ['float32[B,4,8]'], { opset: 18 }],
  ['Tile', ['float32[B,4]', int64(1, 3)], {}, ['float32[B,12]']],
  ['DepthToSpace', ['float32[B,8,H,5]'], { blocksize: 2 }, ['float32[B,2,2*H,10]']],
  ['SpaceToDepth', ['float32[B,2,4,6]'], { blocksize: 2 }, ['float32[B,8,2,3]']],
  [
    'CenterCropPad',
    ['float32[4,5,6]', int64(7, 2)],
    { axes: [0, 2] },
    ['float32[7,5,2]'],
    { opset: 18 },
  ],
]);

check('indexing', [
  ['Gather', ['float32[100,64]', 'int64[B,S]'], {}, ['float32[B,S,64]']],
  ['Gather', ['float32[B,9]', int64Scalar(0)], { axis: 1 }, ['float32[B]']],
  ['GatherElements', ['float32[B,9]', 'int64[B,2]'], { axis: 1 }, ['float32[B,2]']],
  ['GatherND', ['float32[B,5,6,7]', 'int64[B,3,2]'], { batch_dims: 1 }, ['float32[B,3,7]']],
  ['ScatterND', ['float32[B,5]', 'int64[3,1]', 'float32[3,5]'], {}, ['float32[B,5]']],
  ['OneHot', ['int64[B]', int64(10), 'float32[2]'], {}, ['float32[B,10]']],
  ['NonZero', [int64Of([2, 2], 1, 0, 3, 4)], {}, ['int64[2,3]']],
  ['NonZero', ['float32[2,2]'], {}, ['int64[2,?]']],
  ['Compress', ['float32[3,B]', bools(1, 0, 1)], { axis: 0 }, ['float32[2,B]']],
  ['Unique', ['float32[6]'], {}, ['float32[?]', 'int64[?]', 'int64[6]', 'int64[?]']],
  ['NonMaxSuppression', ['float32[1,9,4]', 'float32[1,2,9]'], {}, ['int64[?,3]']],
]);

check('creation', [
  ['ConstantOfShape', [int64(2, 3)], {}, ['float32[2,3]']],
  ['ConstantOfShape', [int64(2)], { value: int64Tensor('', [7]) }, ['int64[2]']],
  ['Constant', [], { value_ints: [1, 2, 3] }, ['int64[3]']],
  ['Constant', [], { value_float: 0.5 }, ['float32[]']],
  ['Range', [int64Scalar(1), int64Scalar(8), int64Scalar(3)], {}, ['int64[3]']],
  ['EyeLike', ['float32[3,4]'], { dtype: 7 }, ['int64[3,4]']],
  ['RandomNormal', [], { shape: [2, 3] }, ['float32[2,3]']],
  ['Multinomial', ['float32[B,9]'], { sample_size: 5 }, ['int32[B,5]']],
  ['HannWindow', [int64Scalar(16)], {}, ['float32[16]']],
  ['DFT', ['float32[B,10,1]'], { axis: 1, onesided: 1 }, ['float32[B,6,2]']],
  [
    'DFT',
    ['float32[B,10,2]', int64Scalar(16), int64Scalar(1)],
    {},
    ['float32[B,16,2]'],
    { opset: 20 },
  ],
  // (64 − 16) / 8 + 1 = 7 frames of 16 / 2 + 1 = 9 bins
  ['STFT', ['float32[B,64,1]', int64Scalar(8), 'float32[16]'], {}, ['float32[B,7,9,2]']],
  [
    'MelWeightMatrix',
    [int64Scalar(8), int64Scalar(16), int64Scalar(8000), floatScalar(0), floatScalar(4000)],
    {},
    ['float32[9,8]'],
  ],
]);

check('images', [
  [
    'Resize',
    ['float32[B,3,10,10]', floats(1, 1, 2, 1.55)],
    {},
    ['float32[B,3,20,15]'],
    { opset: 10 },
  ],
  ['Resize', ['float32[B,3,10,10]', null, null, int64(1, 3, 7, 8)], {}, ['float32[1,3,7,8]']],
  ['Resize', ['float32[B,3,H,10]', null, floats(1, 1, 2, 2)], {}, ['float32[B,3,2*H,20]']],
  [
    'Resize',
    ['float32[B,3,10,20]', null, null, int64(15, 15)],
    { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
    ['float32[B,3,8,15]'],
    { opset: 18 },
  ],
  [
    'Upsample',
    ['float32[B,3,10,10]', floats(1, 1, 2, 2)],
    {},
    ['float32[B,3,20,20]'],
    { opset: 9 },
  ],
  ['GridSample', ['float32[B,3,10,10]', 'float32[B,5,6,2]'], {}, ['float32[B,3,5,6]']],
  ['AffineGrid', ['float32[2,2,3]', int64(2, 3, 5, 6)], {}, ['float32[2,5,6,2]'], { opset: 20 }],
  [
    'ImageDecoder',
    ['uint8[bytes]'],
    { pixel_format: 'Grayscale' },
    ['uint8[?,?,1]'],
    { opset: 20 },
  ],
]);

check('text', [
  ['StringSplit', ['string[B]'], {}, ['string[B,?]', 'int64[B]'], { opset: 20 }],
  ['TfIdfVectorizer', ['int32[B,9]'], { ngram_indexes: [0, 3, 1] }, ['float32[B,4]']],
  ['RegexFullMatch', ['string[B]'], {}, ['bool[B]'], { opset: 20 }],
]);

const ML = { domain: 'ai.onnx.ml' };
check('classical machine learning', [
  [
    'TreeEnsembleClassifier',
    ['float32[B,9]'],
    { classlabels_int64s: [0, 1, 2] },
    ['int64[B]', 'float32[B,3]'],
    ML,
  ],
  ['TreeEnsembleRegressor', ['float32[B,9]'], { n_targets: 2 }, ['float32[B,2]'], ML],
  ['ArrayFeatureExtractor', ['float32[B,9]', int64(1, 2)], {}, ['float32[B,2]'], ML],
  [
    'FeatureVectorizer',
    ['float32[B,2]', 'int64[B,3]'],
    { inputdimensions: [2, 3] },
    ['float32[B,5]'],
    ML,
  ],
  ['OneHotEncoder', ['int64[B,2]'], { cats_int64s: [4, 5, 6] }, ['float32[B,2,3]'], ML],
]);
