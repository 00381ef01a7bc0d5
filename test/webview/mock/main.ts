/** Runs before the webview: a theme on the page and a host behind `acquireVsCodeApi`, as the address asks. */
import type { Session, ViewMemory, WebviewMessage } from '../../../language/protocol';
import themes from '../themes.json';
import type { Step } from './engine';
import { MockHost, type MockOptions } from './host';
import { resnet, vit } from './models';

declare global {
  interface Window {
    mock: MockHost;
  }
}

const query = new URLSearchParams(location.search);
const theme = (query.get('theme') ?? 'dark') as keyof typeof themes;
for (const [name, value] of Object.entries(themes[theme].variables))
  document.documentElement.style.setProperty(name, value);
document.body.className = themes[theme].body;

const options: MockOptions = {
  model: query.get('model') === 'resnet' ? resnet() : vit(Number(query.get('blocks') ?? 12)),
  session: session(),
  steps: steps(query.get('steps') ?? ''),
  free: query.has('free'),
  failing: query.get('failing'),
  refusing: null,
  delayMs: Number(query.get('delay') ?? 10),
  madeUp: query.has('made-up'),
  ticks: Number(query.get('ticks') ?? 5),
  problems: query.has('problems')
    ? [
        {
          severity: 'warning',
          message: 'Attribute axis of /norm is missing: the default is taken.',
          node: '/norm',
        },
        { severity: 'error', message: 'Step 2 matches nothing.', step: 1 },
      ]
    : [],
};

window.mock = new MockHost(options);
Object.assign(window, {
  acquireVsCodeApi: () => ({
    postMessage: (message: WebviewMessage) => window.mock.receive(message),
  }),
});

// The workbench takes keys that reach the window as commands, undo among them.
window.addEventListener('keydown', (event) => {
  if (!(event.ctrlKey || event.metaKey)) return;
  const method = { z: event.shiftKey ? 'redo' : 'undo', y: 'redo' }[event.key.toLowerCase()];
  if (method !== 'undo' && method !== 'redo') return;
  event.preventDefault();
  window.mock.receive({ kind: 'request', id: -1, method, params: null });
});

function session(): Session {
  const memory: ViewMemory | null = query.has('open')
    ? {
        open: query.get('open')!.split(','),
        viewport: null,
        selected: query.has('select') ? query.get('select')!.split(',') : [],
        metric: 'latency',
        folded: query.has('folded') ? query.get('folded')!.split(',') : [],
      }
    : null;
  return {
    view: (query.get('view') ?? 'designer') as Session['view'],
    title: query.get('model') === 'resnet' ? 'shapes-resnet.onnx' : 'deit-tiny.onnx',
    target: query.get('target') ?? 'fpga.zcu102-dpu',
    memory,
    strings: {},
  };
}

/** Recipes to start from, by name. */
function steps(name: string): Step[] {
  const step = (
    pass: string,
    at: string[] | undefined,
    parameters: Record<string, unknown>,
  ): Step => ({
    pass,
    at,
    except: pass === 'quantize.int8' ? ['/head'] : [],
    enabled: true,
    parameters,
  });
  const tokens = step('tokens.topk', ['/blocks.3', '/blocks.6', '/blocks.9'], {
    keep: [0.7, 0.49, 0.343],
  });
  const int8 = step('quantize.int8', ['**'], {
    weights: 'per-channel',
    symmetric: false,
    percentile: 99.9,
  });
  const sparse = step('prune.magnitude', ['/layer*'], { ratio: 0.5, scope: 'global' });
  const broken = step('prune.channels', ['/nowhere.*'], { ratio: 0.3 });
  const int4 = step('quantize.weights-int4', ['**'], { bits: 4, group: 128 });
  return (
    { int4: [int4], two: [tokens, int8], sparse: [sparse, int8], broken: [int8, broken, sparse] }[
      name
    ] ?? []
  );
}
