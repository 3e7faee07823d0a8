/** The end of every way to sign in: a session, and its cookie in the browser. */
import type { Context } from 'hono'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { SecretCookie } from './cookie.ts'
import { type Operator, type Proof, SESSION_SECONDS, type Sessions } from './sessions.ts'

/** Answers who is signed in now. Throws 401 `unauthenticated` when the proof does not hold any more. */
export type BeginSession = (c: Context, proof: Proof) => Promise<Operator>

export function createBeginSession(sessions: Sessions, cookie: SecretCookie): BeginSession {
  return async (c, proof) => {
    const { secret, operator } = await sessions.open(proof)
    // A browser has one session: the one before ends.
    const previous = cookie.read(c)
    if (previous !== null) await sessions.close(previous)
    cookie.write(c, secret, SESSION_SECONDS)
    requestContext(c).log.info({ operator_id: operator.principal.id }, 'console_signed_in')
    return operator
  }
}
