import { describe, expect, it } from 'vitest';
import { workloads } from '../../../../language/cost/workloads';
import type { Graph } from '../../../../language/graph/graph';
import { float32Tensor } from '../../../../language/onnx/tensor';
import { gatherEvidence } from '../../../../language/recipe/evidence';
import { runTask } from '../../../../language/runtime/runtime';
import { generatedData } from '../../../../language/runtime/tasks';
import { baseOf, stepsOf } from '../../recipe/subject';
import { sample, testHost } from '../../runtime/host';
import { open, preview } from '../subject';
import { transformer } from '../transformer';

const host = testHost();
const LLAMA = sample('text-llama.onnx');
const LAYERS = 6;

const step = (parameters: object) => stepsOf({ pass: 'tokens.agile', ...parameters });

/** How many tokens each stage leaves, by the paper's formula; the first and the last always stay. */
function counts(tokens: number, remove: number, stages: number): number[] {
  const share = 1 - (1 - remove) ** (1 / stages);
  const out: number[] = [];
  for (let left = tokens; out.length < stages; out.push(left))
    left = Math.max(left - Math.floor(left * share), Math.min(left, 2));
  return out;
}

/** Attention of each query to the first token, as the mean over heads, from [1, heads, tokens, tokens]. */
function attentionToFirst({ dims, data }: { dims: readonly number[]; data: Float32Array }) {
  const [, heads = 0, tokens = 0] = dims;
  return Array.from({ length: tokens }, (_, query) => {
    let sum = 0;
    for (let head = 0; head < heads; head++) sum += data[(head * tokens + query) * tokens]!;
    return sum / heads;
  });
}

/**
 * The model with all tokens, in which those that a stage removes change no more and are attended to no more: the same
 * numbers by other means.
 */
function masked(base: Graph, gone: ReadonlyMap<number, readonly boolean[]>): Graph {
  const graph = base.fork();
  const insert = (op: string, inputs: string[], output: string, layer: number) =>
    graph.insert({ op, inputs, outputs: [output] }, graph.node(`/layers.${layer}/Add`)!);
  const mask = (name: string, values: readonly number[], dims: number[]) =>
    graph.setInitializer(float32Tensor(name, values, dims));
  let now: readonly boolean[] | undefined;
  for (let layer = 0; layer < LAYERS; layer++) {
    const freeze = (sum: string, input: number) => {
      const branch = graph.node(sum)!.inputs[input]!;
      insert('Mul', [branch, `alive${layer}${sum}`], `${branch}/alive`, layer);
      const alive = now!.map((isGone) => (isGone ? 0 : 1));
      mask(`alive${layer}${sum}`, alive, [1, alive.length, 1]);
      graph.setInput(sum, input, `${branch}/alive`);
    };
    if (now) {
      const softmax = graph.node(`/layers.${layer}/attn/Softmax`)!;
      insert('Add', [softmax.inputs[0]!, `hide${layer}`], `hidden${layer}`, layer);
      mask(
        `hide${layer}`,
        now.map((isGone) => (isGone ? -1e9 : 0)),
        [now.length],
      );
      graph.setInput(softmax.id, 0, `hidden${layer}`);
      freeze(`/layers.${layer}/Add`, 1);
    }
    now = gone.get(layer) ?? now;
    if (now) freeze(`/layers.${layer}/Add_1`, 1);
  }
  return graph;
}

describe('tokens.agile', { timeout: 120_000 }, () => {
  it.each([1, 3, 61])(
    'computes with %d tokens what masks compute that hide the removed ones',
    async (tokens) => {
      const [layers, remove] = [[1, 2, 4], 0.6];
      const base = open(LLAMA);
      const at = layers.map((layer) => `/layers.${layer}/attn/Softmax`);
      const { graph, facts } = preview(base, step({ at, remove })).situation;
      const sizes = { input_ids: [1, tokens] };
      const evidence = gatherEvidence(
        { graph, facts },
        {
          data: generatedData(1),
          sizes,
          signal: new AbortController().signal,
          onProgress: () => undefined,
          runtimeEntry: host.entry,
        },
      );
      const names = layers.map((layer) => `/layers.${layer}/attn/Softmax_output_0`);
      const seen = await evidence.activations(names, 1);
      let left = Array.from({ length: tokens }, (_, i) => i);
      const gone = new Map<number, boolean[]>();
      layers.forEach((layer, stage) => {
        const scores = attentionToFirst(seen.get(names[stage]!)![0]!);
        expect(scores.length).toBe(left.length);
        const last = left.length - 1;
        const ranked = left
          .map((token, i) => ({ token, score: i === 0 || i === last ? 2 : scores[i]! }))
          .sort((a, b) => b.score - a.score);
        const kept = ranked.slice(0, counts(tokens, remove, layers.length)[stage]);
        left = kept.map(({ token }) => token).sort((a, b) => a - b);
        gone.set(
          layer,
          Array.from({ length: tokens }, (_, i) => !left.includes(i)),
        );
      });
      const { outputs } = await runTask(
        {
          kind: 'compare',
          reference: host.model('masked.onnx', masked(base.graph, gone)),
          candidate: host.model('pruned.onnx', graph),
          data: generatedData(1),
          shapes: sizes,
        },
        { entry: host.entry },
      );
      expect(outputs[0]!.maxAbs).toBeLessThan(2e-4);
    },
  );

  it('leaves the file alone where nothing is to go', () => {
    const base = open(LLAMA);
    const { graph } = preview(base, step({ remove: 0 })).situation;
    expect(graph.toRecord()).toEqual(base.graph.toRecord());
  });

  it('counts tokens by the formula, and layers see those that are left', () => {
    for (const tokens of [7, 96, 200]) {
      const base = open(LLAMA, { sequence: tokens });
      const { graph, facts } = preview(base, step({ remove: 0.3, from: 4 })).situation;
      const left = [tokens, ...counts(tokens, 0.3, 3)];
      const [before, after] = [workloads(base.graph, base.facts), workloads(graph, facts)];
      for (let layer = 0; layer < LAYERS; layer++) {
        const macs = (work: typeof before, node: string) =>
          work.of(`/layers.${layer}/${node}`).macs!;
        const [here, behind] = [left[Math.max(0, layer - 3)]!, left[Math.max(0, layer - 2)]!];
        for (const [name, share] of [
          ['attn/q_proj/MatMul', here / tokens],
          ['attn/MatMul', (here / tokens) ** 2],
          ['mlp/up_proj/MatMul', behind / tokens],
        ] as const)
          expect(macs(after, name)).toBe(Math.round(macs(before, name) * share));
      }
      expect(facts.value('logits').shape).toEqual([1, tokens, 96]);
    }
  });

  const refused: [what: string, tiny: Parameters<typeof transformer>[0], reason: RegExp][] = [
    ['a cache of keys', { past: true }, /a cache of earlier ones/],
    ['a batch', { batch: 2 }, /only a batch of 1 is taken/],
    ['keys that are an output', { presents: true }, /every token reaches the output kflat1/],
    ['normalisation behind sums', { post: true }, /nothing is added to the stream behind it/],
  ];
  it.each(refused)('refuses %s', (_, tiny, reason) => {
    expect(() => preview(baseOf(transformer(tiny)), step({ strict: true }))).toThrow(reason);
  });

  it('says when there are fewer layers than it is to start from', () => {
    expect(() => preview(open(LLAMA), step({ from: 7 }))).toThrow(
      /from attention 7 on, and only 6/,
    );
  });
});
