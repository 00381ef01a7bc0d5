/** Which rule infers which operator. */
import type { NodeRecord } from '../../onnx/model';
import type { Rule, Rules } from './call';
import { attentions } from './ops/attention';
import { blocked } from './ops/blocked';
import { control } from './ops/control';
import { convolution } from './ops/convolution';
import { creation } from './ops/creation';
import { elementwise, sameAsInput } from './ops/elementwise';
import { image } from './ops/image';
import { indexing } from './ops/indexing';
import { machineLearning } from './ops/machineLearning';
import { products } from './ops/matmul';
import { microsoft } from './ops/microsoft';
import { movement } from './ops/movement';
import { normalisation } from './ops/normalisation';
import { pooling } from './ops/pooling';
import { quantization } from './ops/quantization';
import { recurrence } from './ops/recurrent';
import { reduction } from './ops/reduction';
import { reshaping } from './ops/reshaping';
import { sequences } from './ops/sequence';
import { text } from './ops/text';
import { training } from './ops/training';

/** QONNX's quantizers keep the shape; Brevitas once exported the same operators under its own name. */
const fakeQuantizers: Rules = {
  BipolarQuant: sameAsInput,
  FloatQuant: sameAsInput,
  IntQuant: sameAsInput,
  Quant: sameAsInput,
  Trunc: sameAsInput,
};

const DOMAINS: Readonly<Record<string, Rules>> = {
  '': {
    ...attentions,
    ...control,
    ...convolution,
    ...creation,
    ...elementwise,
    ...image,
    ...indexing,
    ...movement,
    ...normalisation,
    ...pooling,
    ...products,
    ...quantization,
    ...recurrence,
    ...reduction,
    ...reshaping,
    ...sequences,
    ...text,
  },
  'ai.onnx.ml': machineLearning,
  'ai.onnx.preview.training': training,
  'com.microsoft': microsoft,
  'com.microsoft.nchwc': blocked,
  'onnx.brevitas': fakeQuantizers,
  'qonnx.custom_op.general': fakeQuantizers,
};

const RULES = new Map(
  Object.entries(DOMAINS).map(([domain, rules]) => [domain, new Map(Object.entries(rules))]),
);

export const ruleFor = ({ domain, op }: NodeRecord): Rule | undefined => RULES.get(domain)?.get(op);
