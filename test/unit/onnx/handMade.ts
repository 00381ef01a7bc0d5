/** A small model with a layer of every sort: control flow, a function, shape computations, weights of several types. */
import { bytesOf, entry, message } from './wire';

const layer = (op: string, inputs: string[], outputs: string[], domain = '') => {
  const built = message();
  for (const input of inputs) built.text(1, input);
  for (const output of outputs) built.text(2, output);
  built.text(3, `/block/${op}`).text(4, op);
  return domain ? built.text(7, domain) : built;
};

const info = (name: string, code: number, ...dims: (number | string)[]) => {
  const shape = message();
  for (const dim of dims)
    shape.message(1, typeof dim === 'number' ? message().int(1, dim) : message().text(2, dim));
  return message()
    .text(1, name)
    .message(2, message().message(1, message().int(1, code).message(2, shape)));
};

const tensor = (name: string, code: number, dims: readonly number[], raw: Uint8Array) => {
  const built = message();
  for (const dim of dims) built.int(1, dim);
  return built.int(2, code).text(8, name).bytes(9, raw);
};
const floats = (name: string, ...dims: number[]) =>
  tensor(name, 1, dims, new Uint8Array(4 * dims.reduce((a, b) => a * b, 1)).fill(0x3e));
const longs = (name: string, ...numbers: number[]) =>
  tensor(name, 7, [numbers.length], new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer));

const ints = (name: string, ...numbers: number[]) => {
  const built = message().text(1, name);
  for (const number of numbers) built.int(8, number);
  return built.int(20, 7);
};
const int = (name: string, number: number) => message().text(1, name).int(3, number).int(20, 2);

export function handMade(): Uint8Array {
  const body = message()
    .message(1, layer('Add', ['state', 'bias'], ['next']))
    .message(1, layer('Identity', ['cond'], ['go']))
    .text(2, 'body')
    .message(11, info('i', 7))
    .message(11, info('cond', 9))
    .message(11, info('state', 1, 'n', 4))
    .message(12, info('go', 9))
    .message(12, info('next', 1, 'n', 4));
  const local = message()
    .text(1, 'Scaled')
    .text(4, 'a')
    .text(5, 'b')
    .message(7, layer('Mul', ['a', 'a'], ['b']))
    .message(9, message().int(2, 17))
    .text(10, 'mine');
  const graph = message()
    .message(1, layer('Conv', ['x', 'kernel'], ['c']).message(5, ints('pads', 1, 1, 1, 1)))
    .message(1, layer('GlobalAveragePool', ['c'], ['p']))
    .message(1, layer('Shape', ['p'], ['s']).message(5, int('end', 1)))
    .message(1, layer('Concat', ['s', 'rest'], ['to']).message(5, int('axis', 0)))
    .message(1, layer('Reshape', ['p', 'to'], ['flat']))
    .message(1, layer('MatMul', ['flat', 'w'], ['m']))
    .message(1, layer('Scaled', ['m'], ['f'], 'mine'))
    .message(
      1,
      layer('Loop', ['trips', '', 'f'], ['y']).message(
        5,
        message().text(1, 'body').message(6, body).int(20, 5),
      ),
    )
    .text(2, 'hand-made')
    .message(5, floats('kernel', 8, 3, 3, 3))
    .message(5, floats('w', 8, 4))
    .message(5, floats('bias', 4))
    .message(5, longs('rest', -1))
    .message(5, longs('trips', 3))
    .message(11, info('x', 1, 'batch', 3, 8, 8))
    .message(12, info('y', 1, 'batch', 4))
    .message(13, info('c', 1, 'batch', 8, 8, 8))
    .message(16, entry('source', 'test'));
  return bytesOf(
    message()
      .int(1, 10)
      .message(8, message().int(2, 17))
      .message(8, message().text(1, 'mine').int(2, 1))
      .message(25, local)
      .message(7, graph),
  );
}
