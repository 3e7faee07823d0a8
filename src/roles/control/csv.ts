/** CSV as spreadsheets read it safely (audit-and-events §7.3): CRLF, minimal quoting, no formulas. */

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(textOf).join(' ')
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** A cell that a spreadsheet would run as a formula gets a leading apostrophe. */
export function csvCell(value: unknown): string {
  const text = textOf(value)
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded
}

/** A header row and one line per row, each ended by CRLF. */
export function toCsv(fields: readonly string[], rows: readonly Readonly<Record<string, unknown>>[]): string {
  const lines = [fields, ...rows.map((row) => fields.map((field) => row[field]))]
  return lines.map((cells) => `${cells.map(csvCell).join(',')}\r\n`).join('')
}
