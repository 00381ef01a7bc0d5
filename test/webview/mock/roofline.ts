/** A roofline of the invented devices. */
import type { Roofline, RooflineLayer, RooflinePlace } from '../../../language/protocol';
import {
  activationBytesOf,
  deviceOf,
  macsOf,
  msOf,
  termsOf,
  totalMs,
  weightBytesOf,
  type Facts,
  type Worked,
} from './engine';
import type { Layer } from './models';

export function rooflineOf(layers: readonly Layer[], worked: Worked, target: string): Roofline {
  const device = deviceOf(target);
  const isReram = device.kind === 'reram';
  const wholeMs = totalMs(layers, worked.after, target);
  const drawn = layers
    .filter((layer) => macsOf(layer, worked.after.get(layer.id)!) > 0)
    .map((layer): RooflineLayer => {
      const [was, is] = [worked.before.get(layer.id)!, worked.after.get(layer.id)!];
      const { compute, bandwidth, overhead } = termsOf(layer, is, target);
      const most = Math.max(compute, bandwidth, overhead);
      return {
        node: layer.id,
        op: layer.op,
        shown: layer.id.split('/').slice(0, 2).join('/'),
        bound: most === compute ? 'compute' : most === bandwidth ? 'weight bandwidth' : 'overhead',
        latencyMs: msOf(layer, is, target),
        share: msOf(layer, is, target) / wholeMs,
        at: placeOf(layer, is, target),
        before: was === is ? null : placeOf(layer, was, target),
      };
    })
    .sort((a, b) => b.latencyMs - a.latencyMs);
  const families = [...new Set(layers.map(({ op }) => op))].map((op) => {
    const own = layers.filter((layer) => layer.op === op);
    const sum = (of: (layer: Layer, facts: Facts) => number) => ({
      before: own.reduce((all, layer) => all + of(layer, worked.before.get(layer.id)!), 0),
      after: own.reduce((all, layer) => all + of(layer, worked.after.get(layer.id)!), 0),
    });
    const latencyMs = sum((layer, facts) => msOf(layer, facts, target));
    const share = latencyMs.after / wholeMs;
    return { family: op, layers: own.length, latencyMs, macs: sum(macsOf), share };
  });
  return {
    target,
    title: device.title,
    none: isReram ? 'On ReRAM weights stay in the crossbars.' : null,
    compute: isReram ? [] : [{ name: 'array', gmacPerS: (device.rate * device.int8) / 1e6 }],
    memory: isReram ? [] : [{ name: 'memory', gbPerS: device.bytesPerMs / 1e6 }],
    layers: isReram ? [] : drawn,
    families: families.sort((a, b) => b.latencyMs.after - a.latencyMs.after),
    besideMs: { before: 0, after: 0 },
  };
}

function placeOf(layer: Layer, facts: Facts, target: string): RooflinePlace {
  const macs = macsOf(layer, facts);
  const bytes = weightBytesOf(layer, facts) + activationBytesOf(layer, facts);
  return { macsPerByte: macs / bytes, gmacPerS: macs / (msOf(layer, facts, target) * 1e6) };
}
