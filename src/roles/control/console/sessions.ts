/** Signed-in operators: who a session's secret belongs to, as the database says now, and nothing longer. */
import { randomBytes } from 'node:crypto'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../../platform/ids.ts'
import { consolePrincipal } from '../account-principal.ts'
import { tokenPrincipal } from '../authenticate.ts'
import type { Control } from '../control.ts'
import type { Principal } from '../principal.ts'
import {
  type ConsoleAccount,
  deleteConsoleAccount,
  holdProvenAccount,
  type ProvenAccount,
} from '../store/console-accounts.ts'
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

/** Who somebody proved to be: the holder of an admin token, or the owner of an account. */
export type Proof = { readonly tokenId: string } | { readonly account: ProvenAccount }

export interface OpenedSession {
  readonly secret: string
  readonly operator: Operator
}

export interface Sessions {
  /** Throws 401 `unauthenticated` when what was proved does not hold any more: a session would outlive what ended it. */
  open(proof: Proof): Promise<OpenedSession>
  /** The operator behind a secret. Throws 401 `unauthenticated`, and 403 `access_denied` when the list no longer admits the account. */
  operatorOf(secret: string | null): Promise<Operator>
  close(secret: string): Promise<void>
}

export function createSessions(control: Control, admissions: Admissions): Sessions {
  const { db, hasher, settings } = control

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
    // Opened in mode dev, where an address need not be verified.
    if (!account.verified && settings.CARACAL_MODE !== 'dev') throw errorOf('unauthenticated')
    return {
      sessionId: id,
      expiresAt,
      principal: await consolePrincipal(control, account),
      user: { id: account.id, name: account.email, email: account.email },
      owner: { tokenId: null, accountId: account.id },
    }
  }

  async function openForAccount(
    account: ProvenAccount,
    session: { readonly id: string; readonly hash: string; readonly seconds: number },
  ): Promise<void> {
    await db.transaction(async (tx) => {
      if (!(await holdProvenAccount(tx, account))) throw errorOf('unauthenticated')
      await insertConsoleSession(tx, { ...session, tokenId: null, accountId: account.id })
    })
  }

  return {
    async open(proof) {
      const secret = randomBytes(32).toString('base64url')
      const session = { id: uuidv7(), hash: hasher.hashGenerated(secret), seconds: SESSION_SECONDS }
      if ('tokenId' in proof)
        await insertConsoleSession(db, { ...session, tokenId: proof.tokenId, accountId: null })
      else await openForAccount(proof.account, session)
      return { secret, operator: await find(secret) }
    },
    async operatorOf(secret) {
      if (secret === null) throw errorOf('unauthenticated')
      return find(secret)
    },
    close: (secret) => revokeConsoleSessionOf(db, hasher.hashGenerated(secret)),
  }
}
