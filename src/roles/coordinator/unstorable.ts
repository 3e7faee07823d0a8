/**
 * What no operation can keep is refused at the border, before a statement fails on it: U+0000 and
 * unpaired surrogates (Postgres, and RFC 8785 §3.2.2.2 for digests), and numbers beyond a double.
 */
import type { Context } from 'hono'
import { readJson } from '../../platform/http/body.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'

interface Problem {
  readonly path: readonly string[]
  readonly message: string
}

/** Throws 400 `invalid_query` or `invalid_body` that names the member, or for a body that is not JSON. */
export async function refuseUnstorable(c: Context): Promise<void> {
  const inQuery = unstorable(c.req.query(), [])
  if (inQuery !== null) throw errorOf('invalid_query', { body: { details: { issues: [inQuery] } } })
  const { present, value } = await readJson(c)
  const inBody = present ? unstorable(value, []) : null
  if (inBody !== null) throw errorOf('invalid_body', { body: { details: { issues: [inBody] } } })
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about a control character.
const unstorableText = /\u0000|\p{Surrogate}/u

function unstorable(value: unknown, path: readonly string[]): Problem | null {
  if (typeof value === 'string') return unstorableText.test(value) ? badText(path) : null
  if (typeof value === 'number')
    return Number.isFinite(value) ? null : { path, message: 'is too large a number' }
  if (typeof value !== 'object' || value === null) return null
  for (const [key, member] of Object.entries(value)) {
    if (unstorableText.test(key)) return badText(path)
    const found = unstorable(member, [...path, key])
    if (found !== null) return found
  }
  return null
}

const badText = (path: readonly string[]): Problem => ({
  path,
  message: 'must not contain U+0000 or unpaired surrogates',
})
