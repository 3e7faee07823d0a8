/** Text in a page: whatever it holds, it is no markup. */

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export const escaped = (value: unknown): string =>
  String(value ?? '').replace(/[&<>"']/g, (char) => entities[char] ?? '')
