/** What nodes are called: unique identifiers, and the scopes of the code that they came from. */
import type { NodeRecord } from '../onnx/model';

/** Identifiers for a list of nodes: their names where they have one, `Op_k` by position otherwise, `#2`, `#3` for repeats. */
export function uniqueIds(nodes: readonly NodeRecord[]): string[] {
  const taken = new Set<string>();
  return nodes.map((node, position) => {
    const id = freshName(node.name || `${node.op}_${position}`, (name) => taken.has(name), '#');
    taken.add(id);
    return id;
  });
}

/** `base`, or `base` with the first number from 2 that makes it free. */
export function freshName(base: string, taken: (name: string) => boolean, separator = '_'): string {
  if (!taken(base)) return base;
  for (let k = 2; ; k++) if (!taken(`${base}${separator}${k}`)) return `${base}${separator}${k}`;
}

/**
 * The scope of a node as a path (`/blocks.0/attn`), the empty string for the root. It comes from the metadata that
 * PyTorch's newer exporter writes, else from the name (`/blocks.0/attn/MatMul`, `model/conv1/Conv2D`,
 * `model.layers.0.attn.MatMul`).
 */
export function scopeOf(node: NodeRecord): string {
  const exported = node.metadata.get('pkg.torch.onnx.name_scopes');
  if (exported !== undefined) return scopeOfModules(parsePythonStrings(exported));
  if (node.name.startsWith('/') && !node.name.includes('//'))
    return node.name.slice(0, node.name.lastIndexOf('/'));
  const segments = node.name.includes('/') ? node.name.split('/') : dottedSegments(node.name);
  return joinScope(segments.slice(0, -1));
}

/** Module paths from the outermost in, each a prefix of the next (`blocks.0`, `blocks.0.attn`); the last is the node. */
function scopeOfModules(modules: readonly string[]): string {
  let parent = '';
  const segments: string[] = [];
  for (const module of modules.slice(0, -1)) {
    if (module === '' || module.startsWith('_empty')) continue;
    const inner = module.startsWith(`${parent}.`) ? module.slice(parent.length + 1) : module;
    // Children of a Sequential are mere numbers; the legacy exporter calls them layer1.0 inside layer1.
    segments.push(
      /^\d+$/.test(inner) ? `${segments.at(-1)?.split('.').at(-1) ?? ''}.${inner}` : inner,
    );
    parent = module;
  }
  return joinScope(segments);
}

function dottedSegments(name: string): string[] {
  const parts = name.split('.');
  if (parts.length < 3) return [name];
  const segments: string[] = [];
  for (const part of parts) {
    if (/^\d+$/.test(part) && segments.length > 0) segments.push(`${segments.pop()}.${part}`);
    else segments.push(part);
  }
  return segments;
}

function joinScope(segments: readonly string[]): string {
  return segments
    .filter((segment) => segment !== '')
    .map((segment) => `/${segment}`)
    .join('');
}

/** The strings of a Python list literal such as `['', 'blocks.0']`. */
function parsePythonStrings(text: string): string[] {
  return [...text.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map(
    (m) => m[1] ?? m[2] ?? '',
  );
}

/** The scope around a scope: `/a/b` → `/a` → ``. */
export const parentScope = (scope: string): string =>
  scope.slice(0, Math.max(0, scope.lastIndexOf('/')));

/** A scope and everything around it, innermost first, without the root. */
export function enclosingScopes(scope: string): string[] {
  const out: string[] = [];
  for (let at = scope; at !== ''; at = parentScope(at)) out.push(at);
  return out;
}
