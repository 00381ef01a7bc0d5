/** Target profiles in an editor: what is wrong with them, what may be written, what a field means; all from the schema. */
import {
  CompletionItemKind,
  DiagnosticSeverity,
  type CompletionItem,
  type Diagnostic,
  type Hover,
  type Position,
} from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { fieldOf, problemsOf, TARGET_SUFFIX } from '../cost/targets';
import { TARGETS_FOLDER } from '../recipe/bundled';

export const isProfileUri = (uri: string): boolean => uri.endsWith(TARGET_SUFFIX);

export const profileDiagnostics = (document: TextDocument, file: string): Diagnostic[] =>
  problemsOf(file, document.getText(), TARGETS_FOLDER).map((problem) => {
    // A problem of a profile that this one extends is told where it is extended.
    const [, own, line] = /^(.*):(\d+)$/.exec(problem.where ?? '') ?? [];
    const at = own === file ? Number(line) - 1 : 0;
    return {
      severity: DiagnosticSeverity.Error,
      range: { start: { line: at, character: 0 }, end: { line: at, character: LINE_END } },
      message: problem.message,
      source: 'whittle',
    };
  });

const LINE_END = 10_000;

/** Fields that are missing where the cursor stands, or the values that its field takes. */
export function profileCompletions(
  document: TextDocument,
  file: string,
  position: Position,
): CompletionItem[] {
  const { parents, key, line } = placeOf(document, position);
  const isValue = key !== undefined && line.slice(0, position.character).includes(':');
  const field = fieldOf(
    file,
    document.getText(),
    TARGETS_FOLDER,
    isValue ? [...parents, key] : parents,
  );
  if (isValue)
    return (field?.enum ?? (field?.const === undefined ? [] : [field.const])).map((value) => ({
      label: String(value),
      kind: CompletionItemKind.EnumMember,
    }));
  const names = Object.entries(field?.properties ?? {});
  return names.map(([name, { description }]) => ({
    label: name,
    kind: CompletionItemKind.Property,
    insertText: `${name}: `,
    ...(description !== undefined && { documentation: description }),
  }));
}

export function profileHover(
  document: TextDocument,
  file: string,
  position: Position,
): Hover | null {
  const { parents, key } = placeOf(document, position);
  if (key === undefined) return null;
  const field = fieldOf(file, document.getText(), TARGETS_FOLDER, [...parents, key]);
  return field?.description === undefined ? null : { contents: field.description };
}

interface Place {
  /** Keys around the line, from the outermost. */
  readonly parents: readonly string[];
  /** The key of the line, if it has one. */
  readonly key: string | undefined;
  readonly line: string;
}

/** By indentation, so that it holds while a line is being written. */
function placeOf(document: TextDocument, { line }: Position): Place {
  const lines = document.getText().split(/\r?\n/);
  const own = lines[line] ?? '';
  const parents: string[] = [];
  let indent = indentOf(own);
  for (let at = line - 1; at >= 0 && indent > 0; at--) {
    const above = lines[at]!;
    if (above.trim() === '' || above.trim().startsWith('#') || indentOf(above) >= indent) continue;
    const key = keyOf(above);
    if (key !== undefined) parents.unshift(key);
    indent = indentOf(above);
  }
  return { parents, key: keyOf(own), line: own };
}

const indentOf = (line: string): number => line.length - line.trimStart().length;
const keyOf = (line: string): string | undefined => /^\s*(?:- )?([\w-]+)\s*:/.exec(line)?.[1];
