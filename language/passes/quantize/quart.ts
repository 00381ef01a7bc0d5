import type { Pass } from '../pass';
import { sitesWhere } from '../sites';
import { formOf, groupsOf, layerAt, mayPolish } from './quart/arrangement';
import { decodeCoded, decodeQuantiser, keyOf, type Decisions } from './quart/decisions';
import { parameters, type Parameters } from './quart/parameters';
import { planQuart } from './quart/plan';
import { FewBitsWriter } from './quart/write';

const quart: Pass<Parameters, Decisions> = {
  id: 'quantize.quart',
  title: 'QuartDepth',
  family: 'quantize',
  summary:
    'Weights and activations of convolutions and matrix layers in 4 bits, for models of dense prediction on chips that multiply 4 bits: activations are polished by a signed logarithm, weights compensate for what rounding does to them and are rounded together. ONNX Runtime emulates it: it has no kernels for 4-bit activations.',
  paper: {
    title: 'QuartDepth: Post-Training Quantization for Real-Time Depth Estimation on the Edge',
    authors: 'Shen, Ma, Liu, Yang, Ding, Wang, Ding, Niu, Wang, Zhao, Lin, Gu',
    venue: 'CVPR 2025',
  },
  parameters,
  needs: () => ['calibration'],

  sites: ({ graph, facts }) => sitesWhere(graph, ({ id }) => layerAt(graph, facts, id)),

  plan: planQuart,

  standIn: () => ({ values: {}, layers: {}, open: true }),

  rewrite({ graph, facts, sites, parameters: chosen }, { values, layers, open }) {
    const { groups, refused } = groupsOf(graph, facts, sites);
    const writer = new FewBitsWriter(graph, open);
    for (const group of groups) {
      for (const layer of group.layers) {
        const { rows, columns, groups: count } = layer.shape;
        writer.quantiseLayer(layer, layer.shape, formOf(group, chosen, false).bits, () =>
          decodeCoded(layers[layer.node]!, count * rows * columns, count * columns),
        );
      }
      const decided = open ? undefined : decodeQuantiser(values[keyOf(group)]!, group.axis);
      const form = decided?.form ?? formOf(group, chosen, mayPolish(group, chosen));
      writer.quantiseActivation(group, form, () => decided!);
    }
    return refused;
  },
};
export default quart;
