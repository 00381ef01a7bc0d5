/** Operators of classical machine learning (domain ai.onnx.ml). */
import { intsAttribute } from '../../graph/graph';
import { product, type Count, type NodeReading, type Operator } from './operator';

/** One comparison per level and tree; a tree of n nodes is taken as log2 n deep. */
function trees(node: NodeReading): Count {
  const ids = intsAttribute(node.node, 'nodes_treeids');
  const roots = intsAttribute(node.node, 'tree_roots');
  const count = ids ? new Set(ids).size : (roots?.length ?? 1);
  const nodes = ids?.length ?? intsAttribute(node.node, 'nodes_featureids')?.length ?? 1;
  const depth = Math.ceil(Math.log2(nodes / Math.max(1, count) + 1));
  const input = node.input(0);
  return { ops: (input.length > 1 ? input[0]! : 1) * count * depth };
}

/** A linear model whose coefficients are an attribute. */
function linear(node: NodeReading): Count {
  const shape = node.input(0);
  const features = shape.at(-1) ?? 1;
  const coefficients = node.node.attributes.get('coefficients')?.value;
  const outputs =
    coefficients?.kind === 'floats' ? Math.ceil(coefficients.value.length / features) : 1;
  return { macs: product(shape) * outputs, ops: (product(shape) / features) * outputs };
}

const perElement = (ops: number) => (node: NodeReading) => ({ ops: ops * product(node.input(0)) });
const nothing = (): Count => ({ ops: 0 });

export const CLASSICAL: Readonly<Record<string, Operator>> = {
  'ai.onnx.ml:TreeEnsemble': { kind: 'reduction', count: trees },
  'ai.onnx.ml:TreeEnsembleClassifier': { kind: 'reduction', count: trees },
  'ai.onnx.ml:TreeEnsembleRegressor': { kind: 'reduction', count: trees },
  'ai.onnx.ml:LinearClassifier': { kind: 'matmul', count: linear },
  'ai.onnx.ml:LinearRegressor': { kind: 'matmul', count: linear },
  'ai.onnx.ml:Scaler': { kind: 'elementwise', count: perElement(2) },
  'ai.onnx.ml:Imputer': { kind: 'elementwise', count: perElement(1) },
  'ai.onnx.ml:Binarizer': { kind: 'elementwise', count: perElement(1) },
  'ai.onnx.ml:LabelEncoder': { kind: 'elementwise', count: perElement(1) },
  'ai.onnx.ml:OneHotEncoder': { kind: 'elementwise', count: perElement(1) },
  'ai.onnx.ml:Normalizer': { kind: 'normalisation', count: perElement(3) },
  'ai.onnx.ml:FeatureVectorizer': { kind: 'movement', count: nothing },
  'ai.onnx.ml:ArrayFeatureExtractor': {
    kind: 'movement',
    count: () => ({ ops: 0, selects: true }),
  },
  'ai.onnx.ml:ZipMap': { kind: 'movement', count: nothing },
  'ai.onnx.ml:CastMap': { kind: 'movement', count: nothing },
};
