/** Pieces of HTML files. */

/** Cells are HTML already. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  const top = head.some((cell) => cell !== '') ? `<thead>${line(head, 'th')}</thead>` : '';
  return `<table>${top}<tbody>${rows.map((row) => line(row, 'td')).join('\n')}</tbody></table>`;
}

export const badge = (kind: string): string => `<span class="kind ${kind}">${kind}</span>`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
export const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c]!);
