/** CSV as spreadsheets read it safely (audit-and-events §7.3): CRLF, minimal quoting, no formulas. */

/** A cell as it is written: one that a spreadsheet would run as a formula gets a leading apostrophe. */
export function csvCell(text: string): string {
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded
}

export const csvLine = (cells: readonly string[]): string => `${cells.map(csvCell).join(',')}\r\n`

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(textOf).join(' ')
  if (typeof value === 'object') return JSON.stringify(value)
  return String(value)
}

/** A header row and one line per row, values as text. */
export function toCsv<Row extends object>(
  fields: readonly (keyof Row & string)[],
  rows: readonly Row[],
): string {
  const lines = rows.map((row) => csvLine(fields.map((field) => textOf(row[field]))))
  return [csvLine(fields), ...lines].join('')
}
