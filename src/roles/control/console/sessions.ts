/** Signed-in operators: who a session's secret belongs to, as the database says now, and nothing longer. */
import { randomBytes } from 'node:crypto'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import { consolePrincipal } from '../account-principal.ts'
import { tokenPrincipal } from '../authenticate.ts'
import type { Control } from '../control.ts'
import type { Principal } from '../principal.ts'
import { type ConsoleAccount, deleteConsoleAccount } from '../store/console-accounts.ts'
import {
  findConsoleSession,
  insertConsoleSession,
  revokeConsoleSession,
  revokeConsoleSessionOf,
  type SessionOwner,
} from '../store/console-sessions.ts'
import type { Admissions } from './admission.ts'

/** Seven days, never extended. */
export const SESSION_SECONDS = 7 * 24 * 3600

export interface Operator {
  readonly sessionId: string
  readonly expiresAt: Date
  readonly principal: Principal
  readonly user: { readonly id: string; readonly name: string; readonly email: string | null }
  readonly owner: SessionOwner
}

export interface OpenedSession {
  readonly secret: string
  readonly operator: Operator
}

export interface Sessions {
  open(owner: SessionOwner): Promise<OpenedSession>
  /** The operator behind a secret. Throws 401 `unauthenticated`, and 403 `access_denied` when the list no longer admits the account. */
  operatorOf(secret: string | null): Promise<Operator>
  close(secret: string): Promise<void>
}

export function createSessions(control: Control, admissions: Admissions): Sessions {
  const { db, hasher } = control

  async function refuseDenied(sessionId: string, { id, email }: ConsoleAccount): Promise<void> {
    const admission = admissions.of(email)
    if (admission === 'admitted') return
    if (admission === 'removed') await db.transaction((tx) => deleteConsoleAccount(tx, id))
    else await revokeConsoleSession(db, sessionId)
    throw errorOf('access_denied')
  }

  async function find(secret: string): Promise<Operator> {
    const session = await findConsoleSession(db, hasher.hashGenerated(secret))
    if (session === null) throw errorOf('unauthenticated')
    const { id, expiresAt, token, account } = session
    if (token !== null) {
      return {
        sessionId: id,
        expiresAt,
        principal: tokenPrincipal(token),
        user: { id: token.id, name: token.name, email: null },
        owner: { tokenId: token.id, accountId: null },
      }
    }
    if (account === null) throw errorOf('unauthenticated')
    await refuseDenied(id, account)
    return {
      sessionId: id,
      expiresAt,
      principal: await consolePrincipal(control, account),
      user: { id: account.id, name: account.email, email: account.email },
      owner: { tokenId: null, accountId: account.id },
    }
  }

  return {
    async open(owner) {
      const secret = randomBytes(32).toString('base64url')
      await insertConsoleSession(db, {
        ...owner,
        id: uuidv7(),
        hash: hasher.hashGenerated(secret),
        seconds: SESSION_SECONDS,
      })
      return { secret, operator: await find(secret) }
    },
    async operatorOf(secret) {
      if (secret === null) throw errorOf('unauthenticated')
      return find(secret)
    },
    close: (secret) => revokeConsoleSessionOf(db, hasher.hashGenerated(secret)),
  }
}
