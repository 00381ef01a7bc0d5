/** The domain of classical machine learning, ai.onnx.ml: rows of features to labels and scores. */
import type { Dim, ValueType } from '../../../onnx/model';
import type { ElementType } from '../../../onnx/schema';
import type { ValueFacts } from '../../facts';
import type { Call, Rule, Rules } from '../call';
import { add, multiply } from '../dims';
import { sequenceOf, tensorOf } from '../values';

const rows = (call: Call): Dim => {
  const x = call.input(0).shape;
  return x?.length === 1 ? 1 : (x?.[0] ?? null);
};

const listLength = (call: Call, ...names: string[]): number | undefined => {
  for (const name of names) {
    const value = call.attribute(name);
    if (value?.kind === 'ints' || value?.kind === 'floats' || value?.kind === 'strings')
      return value.value.length;
  }
  return undefined;
};

/** Labels [N] and scores [N, classes]; labels are strings or integers, as the model lists them. */
function classifier(call: Call, strings: string, ints: string): ValueFacts[] {
  const named = listLength(call, strings);
  const classes = named ?? listLength(call, ints) ?? null;
  return [
    tensorOf(named ? 'string' : 'int64', [rows(call)]),
    tensorOf('float32', [rows(call), classes]),
  ];
}

const regressor = (call: Call, targets: string): ValueFacts =>
  tensorOf('float32', [rows(call), call.int(targets, 1)]);

/** Values of one of the types that operators with mapping tables give. */
function mapped(call: Call): ElementType {
  for (const [name, type] of [
    ['values_strings', 'string'],
    ['values_int64s', 'int64'],
    ['values_floats', 'float32'],
  ] as const)
    if (call.hasAttribute(name)) return type;
  const table = call.attribute('values_tensor');
  if (table?.kind === 'tensor') return table.value.elementType;
  return call.type(0) === 'string' ? 'int64' : 'string'; // version 1: a list of class names
}

/** Last axis picked by the indices of input 1. */
const arrayFeatureExtractor: Rule = (call) => {
  const x = call.input(0).shape;
  const picked = (call.shape(1) ?? [null]).reduce(multiply, 1);
  return call.like(x && (x.length === 1 ? [1, picked] : [...x.slice(0, -1), picked]));
};

const featureVectorizer: Rule = (call) => {
  const given = call.ints('inputdimensions');
  const widths = call.inputs.map((facts, i) => given?.[i] ?? facts?.shape?.at(-1) ?? null);
  return tensorOf('float32', [rows(call), widths.reduce(add, 0)]);
};

const oneHotEncoder: Rule = (call) => {
  const x = call.input(0).shape;
  const categories = listLength(call, 'cats_int64s', 'cats_strings') ?? null;
  return tensorOf('float32', x && [...x, categories]);
};

/** A map from class to score for every row. */
const zipMap: Rule = (call) => {
  const keyType = listLength(call, 'classlabels_strings') ? 'string' : 'int64';
  const value: ValueType = { kind: 'tensor', elementType: 'float32', shape: [] };
  return sequenceOf({ kind: 'map', keyType, value });
};

const castMap: Rule = (call) => {
  const type = { TO_STRING: 'string', TO_INT64: 'int64' } as const;
  const target = call.text('cast_to', 'TO_FLOAT');
  const sparse = call.text('map_form', 'DENSE') === 'SPARSE';
  return tensorOf(target in type ? type[target as keyof typeof type] : 'float32', [
    1,
    sparse ? call.int('max_map', 1) : null,
  ]);
};

const dictVectorizer: Rule = (call) => {
  const { type } = call.input(0);
  const value = type.kind === 'map' && type.value?.kind === 'tensor' ? type.value : undefined;
  const count = listLength(call, 'string_vocabulary', 'int64_vocabulary') ?? null;
  return tensorOf(value?.elementType ?? 'unknown', [1, count]);
};

/** Version 5 of trees: targets by attribute, in the type of the input. */
const treeEnsemble: Rule = (call) => call.like([rows(call), call.int('n_targets') ?? null]);

const sameRows: Rule = (call) => tensorOf('float32', call.input(0).shape);

export const machineLearning: Rules = {
  ArrayFeatureExtractor: arrayFeatureExtractor,
  Binarizer: (call) => call.like(call.input(0).shape),
  CastMap: castMap,
  CategoryMapper: (call) =>
    tensorOf(call.type(0) === 'string' ? 'int64' : 'string', call.input(0).shape),
  DictVectorizer: dictVectorizer,
  FeatureVectorizer: featureVectorizer,
  Imputer: (call) => call.like(call.input(0).shape),
  LabelEncoder: (call) => tensorOf(mapped(call), call.input(0).shape),
  LinearClassifier: (call) => classifier(call, 'classlabels_strings', 'classlabels_ints'),
  LinearRegressor: (call) => regressor(call, 'targets'),
  Normalizer: sameRows,
  OneHotEncoder: oneHotEncoder,
  Scaler: sameRows,
  SVMClassifier: (call) => classifier(call, 'classlabels_strings', 'classlabels_ints'),
  SVMRegressor: (call) => regressor(call, 'n_targets'),
  TreeEnsemble: treeEnsemble,
  TreeEnsembleClassifier: (call) => classifier(call, 'classlabels_strings', 'classlabels_int64s'),
  TreeEnsembleRegressor: (call) => regressor(call, 'n_targets'),
  ZipMap: zipMap,
};
