/** Puts text on the clipboard; does nothing where the page may not. */
export function copyText(content: string): void {
  navigator.clipboard.writeText(content).catch(() => undefined);
}
