/** What it costs to open models of many bytes and of many nodes, and to decode the same file with onnx-proto. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import onnxProto from 'onnx-proto';
import { compileLate } from '../../language/cli/compiling';
import { counts } from '../../language/cost/counts';
import { bindShapes } from '../../language/graph/bindings';
import { blocksOf } from '../../language/graph/blocks';
import { Graph } from '../../language/graph/graph';
import { inferShapes } from '../../language/graph/shapes/infer';
import { readModelFile } from '../../language/onnx/read';
import type { Bench, Row } from './lib/bench';
import { writeDecoder, type DecoderSize } from './lib/decoder';

const SHAPES = ['--shape', 'ids=1,128'];

export default function ({ scratch, cli, idle, best }: Bench): Row[] {
  const empty = best(5, idle);
  const make = (name: string, size: DecoderSize) => {
    const file = path.join(scratch, `${name}.onnx`);
    return { file, ...writeDecoder(file, size) };
  };
  const inspect = (name: string, file: string, bars: { cpu: number; memory?: number }): Row[] => {
    const used = best(5, () => cli(['inspect', file, ...SHAPES, '--json']));
    return [
      {
        name: `${name}: inspect, above process start`,
        value: used.cpuSeconds - empty.cpuSeconds,
        unit: 's CPU',
        bar: bars.cpu,
      },
      {
        name: `${name}: peak memory`,
        value: used.peakMiB,
        unit: 'MiB',
        ...(bars.memory && { bar: bars.memory }),
      },
    ];
  };
  const inline = make('inline', {
    layers: 5,
    width: 2048,
    heads: 16,
    vocabulary: 6000,
    external: false,
  });
  const apart = make('apart', {
    layers: 8,
    width: 4096,
    heads: 32,
    vocabulary: 16_000,
    external: true,
  });
  const many = make('many', { layers: 96, width: 64, heads: 4, vocabulary: 256, external: false });
  return [
    ...inspect(`${gigabytes(inline.weights)} GB inline`, inline.file, { cpu: 0.15, memory: 150 }),
    ...inspect(`${gigabytes(apart.weights)} GB beside`, apart.file, { cpu: 0.15, memory: 150 }),
    ...inspect(`${many.nodes} nodes`, many.file, { cpu: 1 }),
    ...phases(many.file, many.nodes),
  ];
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);

/** The first run in this process, compiling as `inspect` does: nothing is compiled yet, as when a person opens a model. */
function phases(file: string, nodes: number): Row[] {
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const rows: Row[] = [];
  compileLate();
  const timed = <T>(name: string, work: () => T): T => {
    const start = cpu();
    const result = work();
    rows.push({ name: `${nodes} nodes: ${name}`, value: cpu() - start, unit: 's CPU' });
    return result;
  };
  const graph = timed('open', () => Graph.of(readModelFile(file)));
  const facts = timed('shapes', () =>
    inferShapes(graph, { inputs: bindShapes(graph, { ids: [1, 128] }).inputs }),
  );
  timed('counts', () => counts(graph, facts));
  timed('blocks', () => blocksOf(graph, facts));
  const all = rows.reduce((sum, { value }) => sum + value, 0);
  const bytes = readFileSync(file);
  timed('onnx-proto decodes the file', () => onnxProto.onnx.ModelProto.decode(bytes));
  const decoding = rows.at(-1)!.value;
  return [
    ...rows,
    { name: `${nodes} nodes: open, shapes, counts and blocks`, value: all, unit: 's CPU', bar: 1 },
    { name: 'ratio of that to decoding with onnx-proto', value: all / decoding, unit: '×' },
    { name: 'ratio of opening alone to it', value: rows[0]!.value / decoding, unit: '×' },
  ];
}
