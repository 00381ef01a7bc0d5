/** Passes and targets as the server would describe them. */
import type { PassInfo, TargetInfo } from '../../../language/protocol';

const ratio = { type: 'number', minimum: 0, maximum: 1, role: 'ratio', multipleOf: 0.01 } as const;
const keep = {
  type: 'number',
  exclusiveMinimum: 0,
  maximum: 1,
  role: 'ratio',
  multipleOf: 0.001,
} as const;

export const PASSES: readonly PassInfo[] = [
  {
    id: 'quantize.int8',
    title: 'INT8 static',
    family: 'quantize',
    summary:
      'Weights as int8, activations as uint8 with ranges measured on calibration data, written as QuantizeLinear and DequantizeLinear around each layer.',
    paper: {
      title:
        'Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference',
      authors: 'Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko',
      venue: 'CVPR 2018',
    },
    parameters: {
      type: 'object',
      properties: {
        weights: {
          type: 'string',
          enum: ['per-channel', 'per-tensor'],
          default: 'per-channel',
          title: 'Weights',
          description: 'One scale for each output channel, or one for the whole tensor',
        },
        symmetric: { type: 'boolean', default: false, title: 'Symmetric activations' },
        percentile: {
          type: 'number',
          exclusiveMinimum: 0,
          default: 99.9,
          title: 'Percentile',
          description: 'Share of the values that the range keeps, in percent',
        },
      },
    },
  },
  {
    id: 'quantize.weights-int4',
    title: 'Weights INT4',
    family: 'quantize',
    summary: 'Weights as int4 in groups; activations stay as they are.',
    paper: null,
    parameters: {
      type: 'object',
      properties: {
        bits: { type: 'number', enum: [4, 8, 2], default: 4, title: 'Bits' },
        group: {
          type: 'integer',
          minimum: 16,
          maximum: 256,
          multipleOf: 16,
          default: 128,
          title: 'Group',
        },
      },
    },
  },
  {
    id: 'prune.magnitude',
    title: 'Magnitude',
    family: 'prune',
    summary:
      'Sets the weights of smallest magnitude to zero, one by one, without moving the others.',
    paper: {
      title: 'Learning both Weights and Connections for Efficient Neural Networks',
      authors: 'Han, Pool, Tran, Dally',
      venue: 'NeurIPS 2015',
    },
    parameters: {
      type: 'object',
      properties: {
        ratio: {
          ...ratio,
          default: 0.5,
          title: 'Ratio',
          description: 'Share of the weights that are set to zero',
        },
        scope: {
          type: 'string',
          enum: ['layer', 'global'],
          default: 'layer',
          title: 'Scope',
          description: 'Rank the weights within each layer, or all chosen layers together',
        },
      },
    },
  },
  {
    id: 'prune.channels',
    title: 'Channels',
    family: 'prune',
    summary: 'Removes whole output channels, so that every device gains.',
    paper: null,
    parameters: {
      type: 'object',
      properties: { ratio: { ...ratio, maximum: 0.9, default: 0.3, title: 'Ratio' } },
    },
  },
  {
    id: 'tokens.topk',
    title: 'Top-k by class attention',
    family: 'tokens',
    summary:
      'Keeps the image tokens that the class token attends to most, in their order, and drops the rest for all later layers.',
    paper: {
      title:
        'Not All Patches Are What You Need: Expediting Vision Transformers via Token Reorganizations',
      authors: 'Liang, Ge, Tong, Song, Wang, Xie',
      venue: 'ICLR 2022',
    },
    parameters: {
      type: 'object',
      properties: {
        keep: {
          anyOf: [keep, { type: 'array', items: keep }],
          default: 0.7,
          role: 'ratio',
          perSite: true,
          title: 'Keep',
          description: "Share of the model's image tokens that go on after each stage",
        },
      },
    },
  },
  {
    id: 'target.assign',
    title: 'Assign to target',
    family: 'target',
    summary:
      'Puts layers on a target of their own. Totals include moving activations between targets.',
    paper: null,
    parameters: {
      type: 'object',
      properties: { target: { type: 'string', role: 'target', title: 'Target' } },
      required: ['target'],
    },
  },
  {
    id: 'graph.truncate-stages',
    title: 'Truncate stages',
    family: 'graph',
    summary: 'Leaves out the layers of a block that its shortcut can stand in for.',
    paper: null,
    parameters: { type: 'object', properties: {} },
  },
];

export interface Device extends TargetInfo {
  /** MACs and bytes per millisecond, and time per layer. */
  readonly rate: number;
  readonly bytesPerMs: number;
  readonly layerMs: number;
  /** Gain of int8 arithmetic over float. */
  readonly int8: number;
  readonly picojoulePerMac: number | null;
}

export const DEVICES: readonly Device[] = [
  {
    id: 'fpga.zcu102-dpu',
    kind: 'fpga',
    title: 'ZCU102 DPU',
    basis: 'modelled, ±9 % on nets it was not fitted to',
    sources: ['DPUCZDX8G product guide'],
    rate: 180e6,
    bytesPerMs: 9e6,
    layerMs: 0.004,
    int8: 2,
    picojoulePerMac: 32,
  },
  {
    id: 'mobile.pixel3-cpu',
    kind: 'mobile',
    title: 'Pixel 3 CPU',
    basis: 'modelled, fitted on CNNs, transformers not validated',
    sources: ['measured latencies of 60 nets'],
    rate: 44e6,
    bytesPerMs: 6e6,
    layerMs: 0.02,
    int8: 1.7,
    picojoulePerMac: null,
  },
  {
    id: 'asic.systolic-32x32-ws',
    kind: 'asic',
    title: 'Systolic 32 × 32, weight stationary',
    basis: 'modelled, cycles as SCALE-Sim counts them',
    sources: ['SCALE-Sim'],
    rate: 620e6,
    bytesPerMs: 24e6,
    layerMs: 0.001,
    int8: 1.3,
    picojoulePerMac: 9,
  },
  {
    id: 'reram.isaac',
    kind: 'reram',
    title: 'ISAAC crossbars',
    basis: 'modelled after the paper, ±20 %',
    sources: ['Shafiee et al., ISCA 2016'],
    rate: 2400e6,
    bytesPerMs: 40e6,
    layerMs: 0.0008,
    int8: 1,
    picojoulePerMac: 4,
  },
];

export const TARGETS: readonly TargetInfo[] = DEVICES.map(
  ({ id, kind, title, basis, sources }) => ({ id, kind, title, basis, sources }),
);
