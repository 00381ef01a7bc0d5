import { floatLinearOf, weightOf } from '../linear';
import type { Pass } from '../pass';
import { sitesWhere } from '../sites';
import { attentionProducts } from './agile/attention';
import { parameters, type Parameters } from './agile/parameters';
import { layerWriter, planAgile, preparedLayers, roundedLayer, type Decisions } from './agile/plan';

const agile: Pass<Parameters, Decisions> = {
  id: 'quantize.agile',
  title: 'Agile-Quant',
  family: 'quantize',
  summary:
    'Weights of matrix layers in 4 bits, what they read in 8 or 4 bits and both products of attention in 8 bits, with a scale for each token as it comes, for language models on processors that multiply a few bits. Integer kernels of ONNX Runtime compute it with codes in bytes: 4 bits are emulated, to the bit. Its pruning of tokens is tokens.agile, as a step before this one.',
  paper: {
    title: 'Agile-Quant: Activation-Guided Quantization for Faster Inference of LLMs on the Edge',
    authors: 'Shen, Dong, Lu, Kong, Li, Lin, Wu, Wang',
    venue: 'AAAI 2024',
  },
  parameters,
  needs: ({ rounding, refine, activations }) =>
    rounding === 'gptq' || (refine === 'auto' && activations !== 16) ? ['calibration'] : [],

  sites({ graph, facts }) {
    const products = attentionProducts(graph, facts);
    return sitesWhere(graph, (node) => {
      const found = products.get(node.id) ?? floatLinearOf(graph, facts, node);
      if (typeof found === 'object' && graph.opset < 11)
        return `rounding needs operator set 11, the model uses ${graph.opset}`;
      return found;
    });
  },

  plan: planAgile,

  standIn: ({ parameters: { rounding } }) => ({
    layers: {},
    refinements: [],
    open: rounding === 'gptq',
  }),

  rewrite(request, { layers: decided, refinements, open }) {
    const { graph, parameters: chosen } = request;
    const { layers, refused } = preparedLayers(request, refinements);
    const write = layerWriter(graph, chosen, open);
    for (const layer of layers) {
      const weight = weightOf(graph, layer);
      write(
        layer,
        once(() => roundedLayer(weight, layer, decided[layer.node])),
      );
    }
    return refused;
  },
};
export default agile;

/** Several tensors come of one rounding. */
function once<T>(compute: () => T): () => T {
  let known: { readonly result: T } | undefined;
  return () => (known ??= { result: compute() }).result;
}
