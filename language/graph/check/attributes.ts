/** Of which kind the attributes of the default domain are. */
import type { AttributeValue, NodeRecord } from '../../onnx/model';

type Kind = AttributeValue['kind'];

/** Attributes bear one name for one meaning, whatever the operator; exceptions below. */
const NAMES: Readonly<Partial<Record<Kind, string>>> = {
  int:
    'axis group keepdims ceil_mode count_include_pad storage_order transA transB hidden_size layout ' +
    'linear_before_reset input_forget batch_axis time_axis blocksize block_size allowzero noop_with_empty_axes ' +
    'select_last_index largest sorted exclusive reverse new_axis num_heads q_num_heads kv_num_heads is_causal ' +
    'num_groups stash_type saturate dtype sample_size onesided inverse periodic output_datatype num_scan_inputs ' +
    'detect_negative detect_positive fmod upper center_point_box num_outputs align_corners antialias ' +
    'exclude_outside interleaved rotary_embedding_dim training_mode value_int offset_group batch_dims ' +
    'sampling_ratio output_height output_width output_dtype',
  ints: 'axes perm kernel_shape strides pads dilations output_padding output_shape split starts ends value_ints',
  float:
    'alpha beta gamma epsilon momentum lambd spatial_scale softcap cubic_coeff_a extrapolation_value ratio high low ' +
    'clip value_float',
  floats: 'activation_alpha activation_beta value_floats scales',
  string:
    'mode auto_pad direction equation coordinate_transformation_mode nearest_mode padding_mode approximate reduction ' +
    'value_string keep_aspect_ratio_policy',
  strings: 'activations value_strings',
  tensor: 'value sparse_value',
  graph: 'body then_branch else_branch',
};

const KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries(NAMES).flatMap(([kind, names]) =>
    names.split(' ').map((name): [string, Kind] => [name, kind as Kind]),
  ),
);

/** Where an operator uses a name for something else, in one of its versions. */
const EXCEPTIONS: ReadonlySet<string> = new Set(['Pad.value', 'Upsample.scales']);

export function attributeProblems({ op, domain, attributes }: NodeRecord): string[] {
  if (domain !== '') return [];
  const problems: string[] = [];
  for (const { name, value } of attributes.values()) {
    const wanted = KINDS.get(name);
    if (!wanted || value.kind === wanted || value.kind === 'reference') continue;
    if (value.kind === 'opaque' || EXCEPTIONS.has(`${op}.${name}`)) continue;
    problems.push(`its attribute ${name} is of the kind ${value.kind} and should be ${wanted}`);
  }
  return problems;
}
