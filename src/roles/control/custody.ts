/**
 * Secrets the server makes and keeps a sealed copy of (control-api §6). The stored
 * hash is what authenticates; the custody copy exists so that a person can see the
 * secret again. A backend that fails rolls the caller's transaction back.
 */
import { randomBytes } from 'node:crypto'
import { clientSecretRef, providerSecretRef, workloadSecretRef } from '../../platform/crypto/secret-store.ts'
import type { Queryable } from '../../platform/db/port.ts'
import { CaracalError } from '../../platform/errors.ts'
import type { Control } from './control.ts'

export { clientSecretRef as applicationSecretRef, providerSecretRef, workloadSecretRef }

/** 256 random bits behind a prefix that says what it opens: `cs_`, `ws_`, `cat_`. */
export function generateSecret(prefix: 'cs_' | 'ws_' | 'cat_'): string {
  return prefix + randomBytes(32).toString('base64url')
}

function unavailable(control: Control, action: string, cause: unknown): CaracalError {
  control.log.error({ err: cause, action }, 'secret_backend_failed')
  return new CaracalError('secret_backend_unavailable', {
    status: 502,
    message: 'the secret store cannot be reached',
    cause,
  })
}

/** Seals `value` under `ref`. Throws 502 `secret_backend_unavailable`. */
export async function keepSecret(control: Control, db: Queryable, ref: string, value: string): Promise<void> {
  try {
    await control.secrets.put(db, ref, value)
  } catch (error) {
    throw unavailable(control, 'put', error)
  }
}

/** The value under `ref`, `null` without one. Throws 502 `secret_backend_unavailable`. */
export async function readSecret(control: Control, db: Queryable, ref: string): Promise<string | null> {
  try {
    return await control.secrets.get(db, ref)
  } catch (error) {
    throw unavailable(control, 'get', error)
  }
}

/** Removes the value under `ref`; a failure is logged and does not undo the caller's work. */
export async function discardSecret(control: Control, ref: string): Promise<void> {
  try {
    await control.secrets.delete(control.db, ref)
  } catch (error) {
    control.log.warn({ err: error }, 'secret_not_discarded')
  }
}
