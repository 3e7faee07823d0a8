/**
 * `x-caracal-account`: for whom the back end of a v1 console speaks (control-api §3.6). It is signed with the
 * deployment's admin token, and a console token derived from that (console-tokens.ts) acts for an account so
 * named or not at all. What is not exactly such an assertion names nobody.
 */
import { createHmac } from 'node:crypto'
import { secretEquals } from '../../platform/crypto/hmac.ts'
import { storableText } from '../../platform/db/storable-text.ts'

export const ACCOUNT_HEADER = 'x-caracal-account'

const pattern = /^v1\.([A-Za-z0-9_-]+)\.(\d{1,15})\.([A-Za-z0-9_-]{43})$/
const ID_BYTES = 256
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The id that was encoded; `null` for another spelling of it, and for what could not be written down as it is. */
function decodeId(encoded: string): string | null {
  const bytes = Buffer.from(encoded, 'base64url')
  if (bytes.length === 0 || bytes.length > ID_BYTES || bytes.toString('base64url') !== encoded) return null
  try {
    const id = strictUtf8.decode(bytes)
    return storableText(id) === id ? id : null
  } catch {
    return null
  }
}

/** The account the header asserts; `null` for one that is absent, malformed, expired or signed with another token. */
export function assertedAccount(
  header: string | undefined,
  adminToken: string | null,
  now: number = Date.now(),
): string | null {
  const [, encoded, exp, mac] = pattern.exec(header ?? '') ?? []
  if (adminToken === null || encoded === undefined || exp === undefined || mac === undefined) return null
  const id = decodeId(encoded)
  if (id === null) return null
  const made = createHmac('sha256', adminToken).update(`caracal:account:v1:${id}:${exp}`).digest('base64url')
  return secretEquals(mac, made) && Number(exp) > now / 1000 ? id : null
}
