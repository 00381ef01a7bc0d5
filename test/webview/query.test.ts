import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../webview/app/query';
import { findIn } from '../../webview/app/finding';
import { viewNode } from './viewNodes';

const plain = viewNode('plain').cost;
const conv = viewNode('/stem/conv1', {
  title: 'conv1',
  subtitle: 'Conv',
  shape: '1 × 64 × 32 × 32',
  status: 'changed',
  chips: [{ text: 'W8A8', family: 'quantize' }],
  cost: {
    ...plain,
    macs: { before: 50e6, after: 20e6 },
    latencyMs: { before: 1, after: 0.4 },
    energyMj: { before: null, after: null },
    share: { ...plain.share, latency: 0.12 },
  },
});
const gelu = viewNode('onnx::Gelu_7', {
  title: 'onnx::Gelu_7',
  subtitle: 'Gelu',
  cost: {
    ...plain,
    macs: { before: null, after: null },
    latencyMs: { before: null, after: null },
    unknown: 'not in this profile',
  },
});

const names = (source: string) =>
  [conv, gelu].filter((node) => parseQuery(source).matches(node)).map(({ title }) => title);

describe('a query', () => {
  it.each([
    ['conv', ['conv1']],
    ['STEM', ['conv1']],
    ['w8a8', ['conv1']],
    ['op:conv', ['conv1']],
    ['op:Con', []],
    ['op:*el*', ['onnx::Gelu_7']],
    ['name:conv?', []],
    ['shape:64', ['conv1']],
    ['is:changed', ['conv1']],
    ['is:unknown', ['onnx::Gelu_7']],
    ['macs>10M', ['conv1']],
    ['macs>=20MMAC', ['conv1']],
    ['macs<20M', []],
    ['latency<=0.4ms', ['conv1']],
    ['latency<500us', ['conv1']],
    ['share>10%', ['conv1']],
    ['op:Conv macs>10M is:changed', ['conv1']],
    ['op:Conv macs>100M', []],
    ['"conv1"', ['conv1']],
  ])('%s finds %j', (source, expected) => {
    expect(names(source)).toEqual(expected);
  });

  it('never matches an unknown number', () => {
    expect(names('energy>=0')).toEqual(['onnx::Gelu_7']);
    expect(names('macs>=0')).toEqual(['conv1']);
  });

  it('takes colons of names for what they are', () => {
    expect(names('onnx::Gelu_7')).toEqual(['onnx::Gelu_7']);
  });

  it.each(['macs>', 'macs>lots', 'speed>3', 'is:pretty', 'op:', '((', '"', '>', '*'])(
    'does not stumble over %j',
    (source) => {
      expect(() => names(source)).not.toThrow();
    },
  );

  it('names what it does not understand', () => {
    expect(parseQuery('conv macs>lots is:pretty').problems).toEqual(['macs>lots', 'is:pretty']);
  });

  it('is empty when nothing is asked', () => {
    expect(parseQuery('  ').empty).toBe(true);
    expect(findIn([conv], '  ').ids).toBeNull();
  });
});

it('finds layers with the blocks around them, outermost first', () => {
  const outer = viewNode('/a', { kind: 'block', open: true });
  const inner = viewNode('/a/b', { kind: 'block', open: true, parent: '/a' });
  const leaf = viewNode('/a/b/gemm', { subtitle: 'Gemm', parent: '/a/b' });
  const { matches, ids } = findIn([outer, inner, leaf], 'op:Gemm');
  expect(matches.map(({ inside }) => inside)).toEqual([['/a', '/a/b']]);
  expect([...ids!]).toEqual(['/a/b/gemm', '/a', '/a/b']);
});
