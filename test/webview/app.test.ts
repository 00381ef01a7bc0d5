import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Design, StepSummary, WebviewMessage } from '../../language/protocol';
import { phaseRows } from '../../webview/app/applying';
import { createDesignLoader } from '../../webview/app/designLoader';
import { refusal } from '../../webview/app/dragging';
import { INITIAL, type State } from '../../webview/app/state';
import { createStore } from '../../webview/app/store';
import { AbandonedError, Host } from '../../webview/host';
import { sortLayers } from '../../webview/report/sorting';
import { counted, setStrings, text } from '../../webview/strings';

/** A host whose requests are answered by hand. */
function handHost() {
  const sent: WebviewMessage[] = [];
  const host = new Host((message) => sent.push(message));
  const requests = () => sent.filter((message) => message.kind === 'request');
  const answer = (id: number, result: unknown) => host.receive({ kind: 'answer', id, result });
  return { host, sent, requests, answer };
}

describe('the host', () => {
  it('matches answers and failures to requests', async () => {
    const { host, answer } = handHost();
    const passes = host.request('passes', null);
    const targets = host.request('targets', null);
    host.receive({ kind: 'failure', id: 2, message: 'no server' });
    answer(1, []);
    await expect(passes).resolves.toEqual([]);
    await expect(targets).rejects.toThrow('no server');
  });

  it('tells the extension what it gave up', async () => {
    const { host, sent, answer } = handHost();
    const abort = new AbortController();
    const passes = host.request('passes', null, abort.signal);
    abort.abort();
    await expect(passes).rejects.toBeInstanceOf(AbandonedError);
    expect(sent.at(-1)).toEqual({ kind: 'abandon', id: 1 });
    expect(() => answer(1, [])).not.toThrow();
  });

  it('hands events to those who listen, for as long as they do', () => {
    const { host } = handHost();
    const heard = vi.fn();
    const stop = host.on('target', heard);
    host.receive({ kind: 'event', name: 'target', payload: { target: 'a' } });
    stop();
    host.receive({ kind: 'event', name: 'target', payload: { target: 'b' } });
    expect(heard.mock.calls).toEqual([[{ target: 'a' }]]);
  });

  it.each([null, 'text', 7, {}, { kind: 'other' }, { kind: 'answer', id: 99, result: 1 }])(
    'ignores %j',
    (message) => {
      expect(() => handHost().host.receive(message)).not.toThrow();
    },
  );
});

describe('the design loader', () => {
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const design = (name: string) => ({ model: { name } }) as unknown as Design;

  function loader() {
    const hand = handHost();
    const store = createStore<State>(INITIAL);
    const arrived: string[] = [];
    const designs = createDesignLoader(hand.host, store, (drawn, isDraft) =>
      arrived.push(`${drawn.model.name}${isDraft ? ' draft' : ''}`),
    );
    return { ...hand, store, arrived, designs };
  }

  const draft = (value: number) => ({ step: 0, parameter: 'ratio', value });

  it('keeps one draft in flight and sends the latest value next', async () => {
    const { designs, requests, answer, arrived } = loader();
    for (const value of [0.1, 0.2, 0.3]) designs.draft(draft(value));
    expect(requests().map(({ params }) => (params as { draft: unknown }).draft)).toEqual([
      draft(0.1),
    ]);
    answer(1, design('one'));
    await settle();
    expect(requests().map(({ params }) => (params as { draft: unknown }).draft)).toEqual([
      draft(0.1),
      draft(0.3),
    ]);
    answer(2, design('two'));
    await settle();
    expect(arrived).toEqual(['one draft', 'two draft']);
    expect(requests()).toHaveLength(2);
  });

  it('replaces what is under way when anything else changes', async () => {
    const { designs, sent, answer, arrived } = loader();
    designs.refresh();
    designs.refresh();
    answer(1, design('old'));
    answer(2, design('new'));
    await settle();
    expect(arrived).toEqual(['new']);
    expect(sent).toContainEqual({ kind: 'abandon', id: 1 });
  });

  it('keeps the picture and says why when a design does not come', async () => {
    const { designs, host, store, arrived, answer } = loader();
    designs.refresh();
    host.receive({ kind: 'failure', id: 1, message: 'step 2: unknown pass' });
    await settle();
    expect(store.get().designError).toBe('step 2: unknown pass');
    designs.refresh();
    answer(2, design('again'));
    await settle();
    expect([store.get().designError, arrived]).toEqual([null, ['again']]);
  });
});

describe('places', () => {
  it('refuse only with a reason', () => {
    const places = {
      no: { sites: 0, reason: 'holds no weights' },
      yes: { sites: 3, reason: null },
    };
    expect(refusal(places, { on: 'node', id: 'no' })).toBe('holds no weights');
    expect(refusal(places, { on: 'node', id: 'yes' })).toBeNull();
    expect(refusal(places, { on: 'node', id: 'unlisted' })).toBeNull();
    expect(refusal(places, { on: 'canvas', id: null })).toBeNull();
  });
});

describe('the list of what is being applied', () => {
  const step = (pass: string, title: string, enabled = true) =>
    ({ pass, title, enabled }) as unknown as StepSummary;
  const steps = [
    step('a.x', 'First'),
    step('b.y', 'Off', false),
    step('a.x', 'First'),
    step('c.z', 'Last'),
  ];
  const rows = (phases: string[]) =>
    phaseRows(steps, phases, {
      token: '',
      phase: phases.at(-1)!,
      detail: 'conv1',
      fraction: 0.5,
    }).map(({ title, state }) => `${title} ${state}`);

  it('has every enabled step before the first is reported', () => {
    expect(phaseRows(steps, [], null).map(({ state }) => state)).toEqual([
      'waiting',
      'waiting',
      'waiting',
    ]);
  });

  it('follows steps by pass or title, each in its turn', () => {
    expect(rows(['a.x'])).toEqual(['First working', 'First waiting', 'Last waiting']);
    expect(rows(['1. a.x', '2. a.x'])).toEqual(['First done', 'First working', 'Last waiting']);
    expect(rows(['a.x', 'Last'])).toEqual(['First done', 'First done', 'Last working']);
  });

  it('adds what is no step at the end', () => {
    expect(rows(['a.x', 'write', 'check'])).toEqual([
      'First done',
      'First done',
      'Last done',
      'write done',
      'check working',
    ]);
  });
});

describe('sorting layers', () => {
  const layer = (name: string, after: number | null) => ({
    name,
    op: 'Conv',
    macs: { before: 1, after },
    weightBytes: { before: 1, after: 1 },
    latencyMs: {},
  });
  const layers = [layer('conv10', 5), layer('conv2', null), layer('conv1', 7)];
  const sorted = (by: 'name' | 'macs' | 'latency', falling: boolean) =>
    sortLayers(layers, { by, falling }, 't').map(({ name }) => name);

  it('reads numbers in names and puts the unknown last both ways', () => {
    expect(sorted('name', false)).toEqual(['conv1', 'conv2', 'conv10']);
    expect(sorted('macs', true)).toEqual(['conv1', 'conv10', 'conv2']);
    expect(sorted('macs', false)).toEqual(['conv10', 'conv1', 'conv2']);
  });

  it('keeps the order of the model among equals', () => {
    expect(sorted('latency', true)).toEqual(['conv10', 'conv2', 'conv1']);
  });
});

describe('strings', () => {
  afterEach(() => setStrings({}));

  it('fill in values and counts', () => {
    expect(text('totals.show', { target: 'DPU' })).toBe('Show costs on DPU');
    expect(counted('blocks', 1)).toBe('1 block');
    expect(counted('blocks', 12)).toBe('12 blocks');
  });

  it('give way to those of the session', () => {
    setStrings({ dismiss: 'Schließen' });
    expect(text('dismiss')).toBe('Schließen');
    expect(text('apply')).toBe('Apply');
  });
});
