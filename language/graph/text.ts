/** A model as text that people can read: one line per node, values with their types and shapes. */
import type {
  AttributeValue,
  GraphRecord,
  NodeRecord,
  Shape,
  Tensor,
  ValueInfo,
  ValueType,
} from '../onnx/model';
import { elementCount, tensorNumbers, tensorStrings } from '../onnx/tensor';
import type { Facts } from './facts';
import type { Graph } from './graph';

export interface ModelText {
  readonly text: string;
  /** The node that a line (from 0) shows, of the main graph. */
  readonly nodes: ReadonlyMap<number, string>;
}

/** Lists longer than this are cut, with the number of what is left out. */
const MAX_LIST = 16;
const MAX_STRING = 120;

export function modelText(graph: Graph, facts: Facts, title: string): ModelText {
  const { model } = graph;
  const lines: string[] = [];
  const nodes = new Map<number, string>();
  const opsets = [...graph.opsets].map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`);
  lines.push(
    `// ${title}`,
    `// IR ${model.irVersion}, ${opsets.join(', ')}${model.producer && `, by ${model.producer}`}`,
    '',
  );
  for (const { domain, name, inputs, outputs, nodes: body } of model.functions) {
    lines.push(
      `function ${domain}.${name}(${inputs.map(valueName).join(', ')}) -> (${outputs.map(valueName).join(', ')}) {`,
    );
    for (const node of body)
      lines.push(
        ...nodeLines(
          node,
          '  ',
          () => undefined,
          () => false,
        ),
      );
    lines.push('}', '');
  }
  const isWeight = (value: string) => graph.initializer(value) !== undefined;
  const typeOf = (value: string) => {
    const { type, shape } = facts.value(value);
    return type.kind === 'unknown'
      ? undefined
      : typeText(type.kind === 'tensor' && shape ? { ...type, shape } : type);
  };
  lines.push(`graph ${quoted(model.graph.name || 'main')}(`);
  for (const input of graph.inputs) lines.push(`  ${valueText(input, '%')},`);
  lines.push(`) -> (${graph.outputs.map((output) => valueText(output, '%')).join(', ')}) {`);
  for (const tensor of graph.initializers.values()) lines.push(`  ${weightLine(tensor)}`);
  if (graph.initializers.size) lines.push('');
  for (const node of graph.order) {
    nodes.set(lines.length, node.id);
    lines.push(...nodeLines(node, '  ', typeOf, isWeight, node.id));
  }
  lines.push('}', '');
  return { text: lines.join('\n'), nodes };
}

type TypeOf = (value: string) => string | undefined;

function nodeLines(
  node: NodeRecord,
  indent: string,
  typeOf: TypeOf,
  isWeight: (value: string) => boolean,
  name = node.name,
): string[] {
  const outputs = node.outputs.map((value) => {
    const type = typeOf(value);
    return valueName(value) + (type ? `: ${type}` : '');
  });
  const inputs = node.inputs.map((value) =>
    value === '' ? '_' : (isWeight(value) ? '@' : '%') + quoted(value),
  );
  const plain: string[] = [];
  const bodies: [string, GraphRecord][] = [];
  for (const { name: key, value } of node.attributes.values()) {
    if (value.kind === 'graph') bodies.push([key, value.value]);
    else if (value.kind === 'graphs')
      value.value.forEach((body, i) => bodies.push([`${key}[${i}]`, body]));
    else plain.push(`${key} = ${attributeText(value)}`);
  }
  const op = node.domain ? `${node.domain}.${node.op}` : node.op;
  const attributes = plain.length ? ` {${plain.join(', ')}}` : '';
  const lines = [
    `${indent}${outputs.join(', ')} = ${op}(${inputs.join(', ')})${attributes}${name && `  // ${oneLine(name)}`}`,
  ];
  for (const [key, body] of bodies) lines.push(...bodyLines(key, body, `${indent}  `));
  return lines;
}

function bodyLines(key: string, body: GraphRecord, indent: string): string[] {
  const weights = new Set(body.initializers.map((tensor) => tensor.name));
  const inputs = body.inputs.map((input) => valueText(input, '%')).join(', ');
  const outputs = body.outputs.map((output) => valueText(output, '%')).join(', ');
  return [
    `${indent}${key} = (${inputs}) -> (${outputs}) {`,
    ...body.initializers.map((tensor) => `${indent}  ${weightLine(tensor)}`),
    ...body.nodes.flatMap((node) =>
      nodeLines(
        node,
        `${indent}  `,
        () => undefined,
        (v) => weights.has(v),
      ),
    ),
    `${indent}}`,
  ];
}

const valueName = (value: string): string => (value === '' ? '_' : `%${quoted(value)}`);

function valueText({ name, type }: ValueInfo, sigil: '%' | '@'): string {
  return `${sigil}${quoted(name)}${type.kind === 'unknown' ? '' : `: ${typeText(type)}`}`;
}

function weightLine(tensor: Tensor): string {
  const where =
    tensor.data.kind === 'external' ? ` in ${quoted(tensor.data.location.location)}` : '';
  return `@${quoted(tensor.name)}: ${tensor.elementType}${shapeText(tensor.dims)}${where}`;
}

function typeText(type: ValueType): string {
  switch (type.kind) {
    case 'tensor':
      return `${type.elementType}${type.shape ? shapeText(type.shape) : ''}`;
    case 'sparse':
      return `sparse ${type.elementType}${type.shape ? shapeText(type.shape) : ''}`;
    case 'sequence':
    case 'optional':
      return `${type.kind}<${type.element ? typeText(type.element) : '?'}>`;
    case 'map':
      return `map<${type.keyType}, ${type.value ? typeText(type.value) : '?'}>`;
    case 'unknown':
      return '?';
  }
}

const shapeText = (shape: Shape): string => `[${shape.map((dim) => dim ?? '?').join(', ')}]`;

function attributeText(value: Exclude<AttributeValue, { kind: 'graph' | 'graphs' }>): string {
  switch (value.kind) {
    case 'float':
      return floatText(value.value);
    case 'int':
      return String(value.value);
    case 'string':
      return stringText(value.value);
    case 'floats':
      return listText(value.value, floatText);
    case 'ints':
      return listText(value.value, String);
    case 'strings':
      return listText(value.value, stringText);
    case 'tensor':
      return tensorText(value.value);
    case 'tensors':
      return listText(value.value, tensorText);
    case 'reference':
      return `$${value.value}`;
    case 'opaque':
      return '…';
  }
}

/** The shortest text that reads back as the same float32. */
function floatText(value: number): string {
  for (let digits = 6; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

const stringText = (text: string): string =>
  JSON.stringify(text.length > MAX_STRING ? `${text.slice(0, MAX_STRING)}…` : text);

function listText<T>(items: readonly T[], text: (item: T) => string): string {
  const shown = items.slice(0, MAX_LIST).map(text);
  if (items.length > MAX_LIST) shown.push(`… ${items.length - MAX_LIST} more`);
  return `[${shown.join(', ')}]`;
}

/** Type and shape; the elements too where they are few and at hand. */
function tensorText(tensor: Tensor): string {
  const type = `${tensor.elementType}${shapeText(tensor.dims)}`;
  const count = elementCount(tensor.dims);
  if (count > MAX_LIST || tensor.data.kind === 'external' || tensor.data.kind === 'computed')
    return type;
  try {
    if (tensor.elementType === 'string')
      return `${type} ${listText(tensorStrings(tensor), stringText)}`;
    const values = [...tensorNumbers(tensor)];
    const text = tensor.elementType === 'float32' ? floatText : String;
    return `${type} ${tensor.dims.length === 0 ? text(values[0] ?? 0) : listText(values, text)}`;
  } catch {
    return type; // elements that cannot be read are not shown
  }
}

/** A name as it is where it reads as one word, in quotes otherwise. */
const quoted = (name: string): string =>
  /^[^\s"(){}[\],=%@]+$/.test(name) ? name : JSON.stringify(name);

const oneLine = (text: string): string => text.replace(/[\r\n\u2028\u2029]+/g, ' ');
