/**
 * Edits of a recipe's text: what the designer asks for, as replacements that leave every other character alone. Steps
 * written one below the other are edited as blocks of lines; a recipe in flow style (JSON, say) is printed anew.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type Document,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { assertNever, WhittleError } from '../errors';
import type { DataUse, RecipeEdit, TextChange } from '../protocol';

/** What a recipe that is still empty is about. */
export interface NewRecipe {
  /** Relative to the recipe. */
  readonly model: string;
  readonly targets: readonly string[];
}

/** All that an edit of one place is; giving layers other bits takes several. */
export type SimpleEdit = Exclude<RecipeEdit, { kind: 'bits' }>;

/** One edit after the other, as one replacement. */
export function editAll(
  text: string,
  edits: readonly SimpleEdit[],
  fresh: NewRecipe,
): TextChange[] {
  const edited = edits.reduce((now, edit) => apply(now, editRecipe(now, edit, fresh)), text);
  return edited === text ? [] : [wholeChange(text, edited)];
}

/**
 * @param text the recipe as it stands; empty for one that is about to begin
 * @throws WhittleError when the text is not a recipe that can be edited
 */
export function editRecipe(text: string, edit: SimpleEdit, fresh: NewRecipe): TextChange[] {
  if (text.trim() === '') {
    const begun = newRecipeText(fresh);
    return [{ start: 0, end: text.length, text: apply(begun, editRecipe(begun, edit, fresh)) }];
  }
  const document = parseDocument(text);
  if (document.errors.length > 0 || !isMap(document.contents))
    throw new WhittleError('the recipe has a syntax error', { hint: 'Mend it in the text first' });
  if (edit.kind === 'part') return partStep(text, edit, fresh);
  const recipe = document.contents as YAMLMap;
  if (recipe.flow) return printedAnew(text, document, edit);
  switch (edit.kind) {
    case 'targets':
      return [setKey(text, recipe, 'targets', edit.targets)];
    case 'bind':
      return [bindShape(text, recipe, edit.symbol, edit.size)];
    case 'data':
      return [setDataset(text, recipe, edit.use, edit.dataset)];
    default:
      return editSteps(text, document, edit);
  }
}

export function newRecipeText({ model, targets }: NewRecipe): string {
  const lines = ['version: 1', `model: ${inline(model)}`];
  if (targets.length) lines.push(`targets: ${inline(targets)}`);
  return `${[...lines, 'steps: []'].join('\n')}\n`;
}

export function apply(text: string, changes: readonly TextChange[]): string {
  return [...changes]
    .sort((a, b) => b.start - a.start)
    .reduce((now, { start, end, text: by }) => now.slice(0, start) + by + now.slice(end), text);
}

type StepEdit = Exclude<SimpleEdit, { kind: 'targets' | 'bind' | 'data' | 'part' }>;

function editSteps(text: string, document: Document, edit: StepEdit): TextChange[] {
  const recipe = document.contents as YAMLMap;
  const steps = recipe.get('steps', true);
  const isEmpty = !isSeq(steps) || steps.items.length === 0;
  if (edit.kind === 'add') {
    if (isEmpty) return [setKey(text, recipe, 'steps', [], `\n${stepLines(edit, '  ')}`)];
    if (!steps.flow) {
      const blocks = stepBlocks(text, steps);
      const at = blocks.at(-1)!.end;
      const newline = text[at - 1] === '\n' ? '' : '\n';
      return [
        {
          start: at,
          end: at,
          text: newline + stepLines(edit, blocks[0]!.indent) + (newline ? '' : '\n'),
        },
      ];
    }
  }
  if (isEmpty) throw new WhittleError('the recipe has no steps');
  if (steps.flow) return printedAnew(text, document, edit);
  switch (edit.kind) {
    case 'set':
      return [setKey(text, stepAt(steps, edit.step), edit.parameter, edit.value)];
    case 'retarget':
      return [setKey(text, stepAt(steps, edit.step), 'at', oneOrList(edit.at))];
    case 'except':
      return setExcept(text, stepAt(steps, edit.step), edit.node, edit.excepted);
    case 'enable': {
      const step = stepAt(steps, edit.step);
      return edit.enabled
        ? removeKey(text, step, 'enabled')
        : [setKey(text, step, 'enabled', false)];
    }
    case 'move':
      return moveBlock(text, steps, edit.step, edit.to);
    case 'remove': {
      stepAt(steps, edit.step);
      if (steps.items.length === 1) return [setKey(text, recipe, 'steps', [], ' []')];
      const { start, end } = stepBlocks(text, steps)[edit.step]!;
      return [{ start, end, text: '' }];
    }
    case 'add':
      return printedAnew(text, document, edit);
    default:
      return assertNever(edit);
  }
}

function stepAt(steps: YAMLSeq, index: number): YAMLMap {
  const step = steps.items[index];
  if (!isMap(step)) throw new WhittleError(`there is no step ${index + 1}`);
  return step;
}

// ---- lines

const lineStart = (text: string, at: number): number => text.lastIndexOf('\n', at - 1) + 1;

/** Just behind the line break that ends the line of `at`. */
function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}

interface StepBlock {
  readonly start: number;
  readonly end: number;
  /** Before the dash. */
  readonly indent: string;
}

/** The lines of each step: comments right above it, and blank lines up to the next, belong to it. */
function stepBlocks(text: string, steps: YAMLSeq): StepBlock[] {
  const dashes = steps.items.map((item) => lineStart(text, rangeOf(item)![0]!));
  const starts = dashes.map((dash) => {
    let start = dash;
    while (start > 0) {
      const above = lineStart(text, start - 1);
      if (!/^[ \t]*#/.test(text.slice(above, start))) break;
      start = above;
    }
    return start;
  });
  const last = rangeOf(steps.items.at(-1))![1]!;
  return dashes.map((dash, i) => ({
    start: starts[i]!,
    end: starts[i + 1] ?? lineEnd(text, Math.max(dash, last - 1)),
    indent: /^[ \t]*/.exec(text.slice(dash))![0],
  }));
}

function moveBlock(text: string, steps: YAMLSeq, from: number, to: number): TextChange[] {
  const blocks = stepBlocks(text, steps);
  if (!blocks[from]) throw new WhittleError(`there is no step ${from + 1}`);
  const pieces = blocks.map(({ start, end }) => text.slice(start, end).replace(/\n?$/, '\n'));
  const [moved] = pieces.splice(from, 1);
  pieces.splice(Math.max(0, Math.min(to, pieces.length)), 0, moved!);
  return [{ start: blocks[0]!.start, end: blocks.at(-1)!.end, text: pieces.join('') }];
}

function stepLines(
  { pass, at, parameters }: Extract<SimpleEdit, { kind: 'add' }>,
  indent: string,
): string {
  const entries: [string, unknown][] = [['pass', pass]];
  if (at.length) entries.push(['at', oneOrList(at)]);
  entries.push(...Object.entries(parameters ?? {}));
  return entries
    .map(([key, value], i) => `${indent}${i === 0 ? '- ' : '  '}${key}: ${inline(value)}`)
    .join('\n');
}

const oneOrList = (at: readonly string[]): unknown => (at.length === 1 ? at[0] : at);

/** A value on one line. */
function inline(value: unknown): string {
  const document = parseDocument('');
  const node = document.createNode(value);
  if (isSeq(node) || isMap(node)) node.flow = true;
  document.contents = node as typeof document.contents;
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd();
}

// ---- keys of a map

/** @param written the text of the value, the gap after the colon included */
function setKey(
  text: string,
  map: YAMLMap,
  key: string,
  value: unknown,
  written = ` ${inline(value)}`,
): TextChange {
  const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
  if (!pair) {
    const at = insertionPoint(text, map);
    const gap = at === 0 || text[at - 1] === '\n' ? '' : '\n';
    return { start: at, end: at, text: `${gap}${keyIndent(text, map)}${key}:${written}\n` };
  }
  const colon = text.indexOf(':', rangeOf(pair.key)![1]) + 1;
  const range = rangeOf(pair.value);
  return {
    start: colon,
    end: Math.max(colon, trimmedEnd(text, colon, range?.[1] ?? colon)),
    text: written,
  };
}

/** Without the white space that a block value ends with. */
const trimmedEnd = (text: string, from: number, to: number): number =>
  from + text.slice(from, to).trimEnd().length;

function removeKey(text: string, map: YAMLMap, key: string): TextChange[] {
  const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
  if (!pair) return [];
  const start = lineStart(text, rangeOf(pair.key)![0]!);
  const end = trimmedEnd(text, start, (rangeOf(pair.value) ?? rangeOf(pair.key)!)[1]!);
  return [{ start, end: lineEnd(text, end - 1), text: '' }];
}

/** Exceptions need something to be excepted from: a step that says nothing of where it works gets `at: "**"`. */
function setExcept(text: string, step: YAMLMap, node: string, excepted: boolean): TextChange[] {
  const written = step.get('except', true);
  const now = exceptOf(step);
  if (now.includes(node) === excepted) return [];
  const wanted = excepted ? [...now, node] : now.filter((other) => other !== node);
  if (wanted.length === 0) return removeKey(text, step, 'except');
  if (isSeq(written) && !written.flow) return [setListed(text, written, node, excepted)];
  const except = setKey(text, step, 'except', wanted);
  if (step.has('at')) return [except];
  const at = setKey(text, step, 'at', '**');
  return [{ ...at, text: at.text + except.text.replace(/^\n/, '') }];
}

function exceptOf(step: YAMLMap): string[] {
  const except: unknown = (step.toJSON() as Record<string, unknown>).except ?? [];
  return (Array.isArray(except) ? except : [except]).map(String);
}

/** Adds a line to a list of lines, or takes one away. */
function setListed(text: string, list: YAMLSeq, item: string, listed: boolean): TextChange {
  if (!listed) {
    const place = list.items.find((one) => isScalar(one) && one.value === item);
    const [start, end] = rangeOf(place)!;
    return { start: lineStart(text, start!), end: lineEnd(text, end! - 1), text: '' };
  }
  const [start, last] = rangeOf(list.items.at(-1))!;
  const indent = /^[ \t]*/.exec(text.slice(lineStart(text, start!)))![0];
  const end = lineEnd(text, last! - 1);
  const newline = text[end - 1] === '\n' ? '' : '\n';
  return { start: end, end, text: `${newline}${indent}- ${inline(item)}\n` };
}

/** Where a new key goes: below the others, but above the steps of a recipe. */
function insertionPoint(text: string, map: YAMLMap): number {
  const steps = map.items.find((item) => isScalar(item.key) && item.key.value === 'steps');
  if (steps) return lineStart(text, rangeOf(steps.key)![0]!);
  const last = map.items.at(-1)!;
  return lineEnd(text, (rangeOf(last.value) ?? rangeOf(last.key)!)[1]! - 1);
}

/** Where a node of the document stands: start, end of the value, end of the node. */
const rangeOf = (node: unknown): readonly number[] | undefined =>
  (node as { range?: readonly number[] | null } | null)?.range ?? undefined;

/** White space in front of the keys of a map; the dash of a list item counts as such. */
function keyIndent(text: string, map: YAMLMap): string {
  const first = rangeOf(map.items[0]!.key)![0]!;
  return ' '.repeat(first - lineStart(text, first));
}

function bindShape(text: string, recipe: YAMLMap, symbol: string, size: number): TextChange {
  const shapes = recipe.get('shapes', true);
  if (isMap(shapes) && shapes.items.length && !shapes.flow)
    return setKey(text, shapes, symbol, size);
  const bound = isMap(shapes) ? (shapes.toJSON() as Record<string, unknown>) : {};
  return setKey(text, recipe, 'shapes', { ...bound, [symbol]: size });
}

/** Leaves what else is said of the data, such as how many samples. */
function setDataset(text: string, recipe: YAMLMap, use: DataUse, dataset: unknown): TextChange {
  const said = recipe.get(use, true);
  if (isMap(said) && said.items.length && !said.flow) return setKey(text, said, 'dataset', dataset);
  const others = isMap(said) ? (said.toJSON() as Record<string, unknown>) : {};
  return setKey(text, recipe, use, { ...others, dataset });
}

// ---- parting a step

type Part = Extract<SimpleEdit, { kind: 'part' }>;

/** A step of the same kind that does the layer differently takes it in; if there is none, one is put behind the step. */
function partStep(
  text: string,
  { step, node, parameter, value }: Part,
  fresh: NewRecipe,
): TextChange[] {
  const edited = (before: string, edit: SimpleEdit) =>
    apply(before, editRecipe(before, edit, fresh));
  const wanted = partedStep(text, step, { [parameter]: value });
  const spared = edited(text, { kind: 'except', step, node, excepted: true });
  const { steps } = parseDocument(spared).toJS() as { steps: Record<string, unknown>[] };
  const same = steps.findIndex(
    ({ at, except, ...rest }, place) =>
      place > step && at !== undefined && except === undefined && isDeepStrictEqual(rest, wanted),
  );
  if (same >= 0) {
    const at = [steps[same]!.at].flat() as string[];
    const grown = edited(spared, { kind: 'retarget', step: same, at: [...new Set([...at, node])] });
    return [wholeChange(text, grown)];
  }
  const { pass, ...parameters } = wanted;
  const added = edited(spared, { kind: 'add', pass: String(pass), at: [node], parameters });
  return [wholeChange(text, edited(added, { kind: 'move', step: steps.length, to: step + 1 }))];
}

/** What the other step says besides where it works. */
function partedStep(text: string, step: number, change: object): Record<string, unknown> {
  const { steps = [] } = parseDocument(text).toJS() as { steps?: Record<string, unknown>[] };
  const said = steps[step];
  if (!said) throw new WhittleError(`there is no step ${step + 1}`);
  const { at: _, except: __, ...rest } = said;
  return { ...rest, ...change };
}

/** What differs between two texts, as one replacement. */
function wholeChange(before: string, after: string): TextChange {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let tail = 0;
  while (tail < shorter - start && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}

// ---- flow style

function printedAnew(
  text: string,
  document: Document,
  edit: Exclude<SimpleEdit, { kind: 'part' }>,
): TextChange[] {
  const at = (...path: (string | number)[]) => ['steps', ...path];
  switch (edit.kind) {
    case 'targets':
      document.set('targets', edit.targets);
      break;
    case 'data':
      document.setIn([edit.use, 'dataset'], edit.dataset);
      break;
    case 'bind':
      document.setIn(['shapes', edit.symbol], edit.size);
      break;
    case 'add': {
      const step = {
        pass: edit.pass,
        ...(edit.at.length && { at: oneOrList(edit.at) }),
        ...edit.parameters,
      };
      document.addIn(at(), step);
      break;
    }
    case 'set':
      document.setIn(at(edit.step, edit.parameter), edit.value);
      break;
    case 'retarget':
      document.setIn(at(edit.step, 'at'), oneOrList(edit.at));
      break;
    case 'except': {
      const step = document.getIn(at(edit.step)) as YAMLMap;
      const others = exceptOf(step).filter((node) => node !== edit.node);
      const wanted = edit.excepted ? [...others, edit.node] : others;
      if (wanted.length > 0 && !step.has('at')) step.set('at', '**');
      if (wanted.length > 0) step.set('except', document.createNode(wanted, { flow: true }));
      else step.delete('except');
      break;
    }
    case 'enable':
      if (edit.enabled) document.deleteIn(at(edit.step, 'enabled'));
      else document.setIn(at(edit.step, 'enabled'), false);
      break;
    case 'move': {
      const { items } = document.get('steps', true) as YAMLSeq;
      items.splice(edit.to, 0, ...items.splice(edit.step, 1));
      break;
    }
    case 'remove':
      document.deleteIn(at(edit.step));
      break;
    default:
      assertNever(edit);
  }
  return [{ start: 0, end: text.length, text: document.toString({ lineWidth: 0 }) }];
}
