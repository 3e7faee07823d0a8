/**
 * Nothing secret reaches a log line (storage-and-operations §14.1). Two nets: the name
 * of a field, and the shape of a text. Both work on copies; what the caller
 * logs is never changed.
 */

const redacted = '***'
const truncationMark = '…[truncated]'

const secretNameParts = [
  'password',
  'secret',
  'token',
  'api_key',
  'apikey',
  'private_key',
  'session',
  'assertion',
  'authorization',
  'cookie',
  'hmac',
  'signature',
]

/** Names that only look secret: identifiers and facts an operator needs. */
const harmlessNames: ReadonlySet<string> = new Set([
  'agent_session_id',
  'parent_agent_session_id',
  'source_agent_session_id',
  'target_agent_session_id',
  'authority_record_id',
  'agent_session_count',
  'token_use',
])

const nameVerdicts = new Map<string, boolean>()
const mostRememberedNames = 2048

/** True when a field of this name must not be shown. */
export function isSecretName(name: string): boolean {
  const known = nameVerdicts.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase().replaceAll('-', '_')
  const verdict = !harmlessNames.has(lower) && secretNameParts.some((part) => lower.includes(part))
  if (nameVerdicts.size < mostRememberedNames) nameVerdicts.set(name, verdict)
  return verdict
}

const shortestSuspect = 16

/** One cheap look before the expensive ones: most texts hold none of these. */
const suspicious =
  /bearer|basic |eyJ|AKIA|ASIA|AIza|ya29\.|gh[opsur]_|github_pat_|xox|-----BEGIN|cs_|ws_|cat_|cak_|[?&;\s"][\w.-]{2,40}=/i

type Shape = (text: string) => string

const shape =
  (pattern: RegExp, replacement: string): Shape =>
  (text) =>
    text.replace(pattern, replacement)

/** Of a JWT at least the header and the dot after it; a long word that only begins like one is walked once. */
const jwt: Shape = (text) =>
  text.replace(
    /\beyJ[A-Za-z0-9_-]{5,}(?:(\.)[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?)?/g,
    (word: string, dot: string | undefined) => (dot === undefined ? word : redacted),
  )

/** Callers choose much of what is logged, so that no shape may cost more than its text is long. */
const shapes: readonly Shape[] = [
  shape(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, redacted),
  shape(/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${redacted}`),
  jwt,
  shape(/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, redacted),
  shape(/\bAIza[A-Za-z0-9_-]{30,}/g, redacted),
  shape(/\bya29\.[A-Za-z0-9_-]{10,}/g, redacted),
  shape(/\bgh[opsur]_[A-Za-z0-9]{20,}/g, redacted),
  shape(/\bgithub_pat_[A-Za-z0-9_]{20,}/g, redacted),
  shape(/\bxox[abeoprs]-[A-Za-z0-9-]{8,}/g, redacted),
  shape(/\b(?:cs|ws|cat|cak)_[A-Za-z0-9_-]{20,}/g, redacted),
  // That the name ends in `=` is asked first: else each word in it would be the start of another walk.
  shape(
    /([?&;\s"](?=[\w.-]+=)(?:(?=[\w.-]*?(?:password|passwd|secret|token|api[_-]?key|apikey|assertion|signature|credential))[\w.-]+|key|sig|code|pwd)=)[^&;\s"']+/gi,
    `$1${redacted}`,
  ),
]

/** `text` without credential shapes, at most `maxBytes` long (UTF-8; 0 or less = any length). */
export function redactText(text: string, maxBytes: number): string {
  let clean = text
  if (text.length >= shortestSuspect && suspicious.test(text)) {
    for (const redactShape of shapes) clean = redactShape(clean)
  }
  if (maxBytes <= 0 || clean.length * 3 <= maxBytes) return clean
  const bytes = Buffer.from(clean, 'utf8')
  if (bytes.length <= maxBytes) return clean
  let end = maxBytes
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1
  return bytes.toString('utf8', 0, end) + truncationMark
}

const deepest = 6
const longestArray = 100

function errorFields(error: Error, maxBytes: number, depth: number): Record<string, unknown> {
  const { code, detail, cause } = error as Error & { code?: unknown; detail?: unknown }
  return {
    name: error.name,
    message: redactText(error.message, maxBytes),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack, maxBytes) }),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof detail === 'string' ? { detail: redactText(detail, maxBytes) } : {}),
    ...(cause === undefined || depth >= deepest ? {} : { cause: redactValue(cause, maxBytes, depth + 1) }),
  }
}

/** A copy of `value` that may be written: secret names masked, texts cleaned, errors as name, message, stack, code, cause. */
export function redactValue(value: unknown, maxBytes: number, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value, maxBytes)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return errorFields(value, maxBytes, depth)
  if (value instanceof Date) return value
  if (ArrayBuffer.isView(value)) return redacted
  if (depth >= deepest) return '[deep]'
  if (Array.isArray(value)) {
    return value.slice(0, longestArray).map((item) => redactValue(item, maxBytes, depth + 1))
  }
  return redactFields(value as Record<string, unknown>, maxBytes, depth)
}

/** As `redactValue` for the members of one object. */
export function redactFields(
  fields: Readonly<Record<string, unknown>>,
  maxBytes: number,
  depth = 0,
): Record<string, unknown> {
  const clean: Record<string, unknown> = {}
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (value === undefined) continue
    clean[name] = value !== null && isSecretName(name) ? redacted : redactValue(value, maxBytes, depth + 1)
  }
  return clean
}
