/** Between real numbers and integers. */
import type { ElementType } from '../../../onnx/schema';
import type { Call, Rule, Rules } from '../call';
import { scalarOf, tensorOf } from '../values';

/** The output's type: the attribute's, the zero point's, or uint8. */
export const quantizeLinear: Rule = (call) => {
  const type = call.has(2) ? call.type(2) : 'uint8';
  return tensorOf(typeOr(call, type), call.input(0).shape);
};

/** The output has the type of the scale, unless an attribute says otherwise. */
export const dequantizeLinear: Rule = (call) =>
  tensorOf(typeOr(call, call.type(1)), call.input(0).shape);

/** An output_dtype of 0 is as good as none. */
const typeOr = (call: Call, otherwise: ElementType): ElementType =>
  call.int('output_dtype', 0) === 0 ? otherwise : call.typeAttribute('output_dtype', otherwise);

const dynamicQuantizeLinear: Rule = (call) => [
  tensorOf('uint8', call.input(0).shape),
  scalarOf('float32'),
  scalarOf('uint8'),
];

export const quantization: Rules = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
};
