/** Objects of JSON (RFC 8259 §4): what `typeof` calls an object, without `null` and arrays. */
export type JsonObject = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const asJsonObject = (value: unknown): JsonObject | null => (isJsonObject(value) ? value : null)

/** The object that `text` spells; `null` for any other value, and for what is no JSON. */
export function parseJsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
