import { floatLinearOf } from '../linear';
import type { Pass, Refusal } from '../pass';
import { sitesWhere } from '../sites';
import { rankers } from './squat/importance';
import { parameters, type Parameters } from './squat/parameters';
import { planSquat, type Decisions } from './squat/plan';
import { MixedWriter } from './squat/write';
import { chosenLayers } from './weights/selection';

const OPSET = 12;

const squat: Pass<Parameters, Decisions> = {
  id: 'quantize.squat',
  title: 'Squat, calibration only',
  family: 'quantize',
  summary:
    'Weights of matrix layers in 4 bits with one scale for each matrix; what they read in 8 bits for the tokens that attend to the first one most and 4 for the others, with a scale for each of the two. Scales come from calibration data: there is no quantisation-aware training, which the results of the paper rest on. Codes stand in bytes: 4 bits are emulated, to the bit.',
  paper: {
    title: 'Squat: Quant Small Language Models on the Edge',
    authors: 'Shen, Lu, Kong, Yu, Wang, Zhao et al.',
    venue: 'arXiv 2402.10787',
  },
  parameters,
  needs: () => ['calibration'],

  sites({ graph, facts }) {
    const rankerOf = rankers(graph, facts);
    return sitesWhere(graph, (node) => {
      const layer = floatLinearOf(graph, facts, node);
      if (typeof layer !== 'object') return layer;
      if (graph.opset < OPSET)
        return `comparing tokens needs operator set ${OPSET}, the model uses ${graph.opset}`;
      return rankerOf(layer);
    });
  },

  plan: planSquat,

  standIn: () => ({ activations: {}, weights: {}, open: true }),

  rewrite({ graph, facts, sites, parameters: chosen }, decisions) {
    const { layers, refused } = chosenLayers(graph, facts, sites, chosen);
    const rankerOf = rankers(graph, facts);
    const ranked = layers.map((layer) => ({ layer, ranker: rankerOf(layer) }));
    const writer = new MixedWriter(graph, chosen, decisions);
    const left: Refusal[] = [...refused];
    for (const { layer, ranker } of ranked)
      if (typeof ranker === 'string') left.push({ node: layer.node, reason: ranker });
      else writer.quantiseLayer(layer, ranker);
    return left;
  },
};
export default squat;
