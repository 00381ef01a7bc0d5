/** What the editor shows in texts: complaints about a recipe, and costs behind its steps and behind the nodes of a model. */
import {
  DiagnosticSeverity,
  InlayHintKind,
  type Diagnostic,
  type InlayHint,
  type Range,
} from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { TargetProfile } from '../cost/profile';
import { costOn, workOf } from '../design/costing';
import { countsOf, type Subject } from '../design/design';
import { describeError } from '../errors';
import type { ModelText } from '../graph/text';
import type { Situation } from '../passes/pass';
import { rangeOf } from '../recipe/recipe';

export function diagnosticsOf(document: TextDocument, subject: Subject): Diagnostic[] {
  const diagnostics: Diagnostic[] = (subject.recipe?.problems ?? []).map(
    ({ severity, message, start, end }) => ({
      severity: severity === 'error' ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
      range: { start: document.positionAt(start), end: document.positionAt(end) },
      message,
      source: 'whittle',
    }),
  );
  const { failure, outcomes } = subject.preview;
  if (failure && !failure.step.error)
    diagnostics.push({
      severity: DiagnosticSeverity.Error,
      range: stepRange(document, failure.step.index),
      message: describeError(failure.error),
      source: 'whittle',
    });
  for (const { step, skipped } of outcomes) {
    const [first] = skipped;
    if (!first) continue;
    const more = skipped.length > 1 ? `, and ${skipped.length - 1} more` : '';
    diagnostics.push({
      severity: DiagnosticSeverity.Information,
      range: stepRange(document, step.index),
      message: `skipped ${first.node}: ${first.reason}${more}`,
      source: 'whittle',
    });
  }
  return diagnostics;
}

/** An error that concerns the recipe as a whole: its model cannot be opened, say. */
export function modelDiagnostic(document: TextDocument, error: unknown): Diagnostic {
  const { start, end } = rangeOf(parseDocument(document.getText()), ['model']);
  return {
    severity: DiagnosticSeverity.Error,
    range: { start: document.positionAt(start), end: document.positionAt(end) },
    message: describeError(error),
    source: 'whittle',
  };
}

/** The line that names a step's pass. */
function stepRange(document: TextDocument, index: number): Range {
  const { start, end } = rangeOf(parseDocument(document.getText()), ['steps', index, 'pass']);
  return { start: document.positionAt(start), end: document.positionAt(end) };
}

/** Behind each step: what it gains on the target, and in multiply-accumulates. */
export function recipeHints(
  document: TextDocument,
  subject: Subject,
  target: TargetProfile,
): InlayHint[] {
  const lines = passLines(document);
  let before: Situation = subject.bound;
  const hints: InlayHint[] = [];
  for (const { step, situation, sites } of subject.preview.outcomes) {
    const position = lines[step.index];
    if (position) {
      const gain = gainText(before, situation, target, subject);
      const label = `${gain} · ${sites.length} ${sites.length === 1 ? 'site' : 'sites'}`;
      hints.push({
        position,
        label,
        kind: InlayHintKind.Type,
        paddingLeft: true,
        tooltip: `on ${target.title}, modelled`,
      });
    }
    before = situation;
  }
  return hints;
}

function gainText(
  before: Situation,
  after: Situation,
  target: TargetProfile,
  { resolve }: Subject,
): string {
  const [old, fresh] = [before, after].map((situation) => costOn(situation, target, resolve).total);
  const estimated = fresh!.estimated ? '≈ ' : '';
  const latency = `${estimated}${numberText(old!.latencyMs)} → ${numberText(fresh!.latencyMs)} ms ${percentText(old!.latencyMs, fresh!.latencyMs)}`;
  const [macsBefore, macsAfter] = [countsOf(before).macs, countsOf(after).macs];
  return macsBefore === macsAfter
    ? latency
    : `${latency} · MACs ${percentText(macsBefore, macsAfter)}`;
}

/** Ends of the lines that name the pass of each step. */
function passLines(document: TextDocument): ({ line: number; character: number } | undefined)[] {
  const steps = parseDocument(document.getText()).get('steps', true);
  if (!isSeq(steps)) return [];
  return steps.items.map((item) => {
    const pair = isMap(item)
      ? item.items.find(({ key }) => isScalar(key) && key.value === 'pass')
      : undefined;
    const range = (pair?.value as { range?: readonly number[] } | undefined)?.range;
    return range ? document.positionAt(range[1]!) : undefined;
  });
}

/** Behind each node: multiply-accumulates, and latency on the target. */
export function modelHints(
  { nodes, text }: ModelText,
  range: Range,
  { bound, resolve }: Subject,
  target: TargetProfile,
): InlayHint[] {
  const { layers } = costOn(bound, target, resolve);
  const work = workOf(bound);
  const cost = new Map(layers.map((layer) => [layer.node, layer]));
  const lines = text.split('\n');
  const hints: InlayHint[] = [];
  for (const [line, node] of nodes) {
    if (line < range.start.line || line > range.end.line) continue;
    const label = [macsText(work.of(node).macs), latencyText(cost.get(node)?.latencyMs)]
      .filter(Boolean)
      .join(' · ');
    if (!label) continue;
    hints.push({
      position: { line, character: lines[line]!.length },
      label,
      kind: InlayHintKind.Type,
      paddingLeft: true,
      tooltip: `on ${target.title}, modelled; bound by ${cost.get(node)?.bound ?? 'nothing known'}`,
    });
  }
  return hints;
}

const macsText = (macs: number | null): string =>
  macs === null ? 'MACs unknown' : macs === 0 ? '' : `${numberText(macs / 1e6)} MMAC`;

const latencyText = (latencyMs: number | null | undefined): string =>
  latencyMs === null || latencyMs === undefined
    ? 'latency unknown'
    : latencyMs === 0
      ? ''
      : `${numberText(latencyMs)} ms`;

/** Three significant digits, never in powers of ten. */
export function numberText(value: number): string {
  if (value === 0 || value >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

const percentText = (before: number, after: number): string => {
  const percent = before === 0 ? 0 : Math.round(100 * (after / before - 1));
  return `${percent > 0 ? '+' : percent < 0 ? '−' : '±'}${Math.abs(percent)} %`;
};
