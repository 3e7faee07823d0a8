/**
 * The token the environment brings (control-api §3.2). Idempotent; a new value ends
 * its predecessors, and a row that was revoked stays revoked.
 */
import { uuidv7 } from '../../platform/ids.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { findSeeded, insertAdminToken, revokeOtherSeeded } from './store/admin-tokens.ts'

const BOOTSTRAP = 'env-bootstrap'

/** Brings `admin_tokens` in line with `CARACAL_ADMIN_TOKEN`; without the variable nothing changes. */
export async function seedAdminTokens(control: Control): Promise<void> {
  const token = control.settings.CARACAL_ADMIN_TOKEN
  if (token === null) return
  const lookup = control.hasher.lookup(token)
  // Hashing costs tens of milliseconds, so it happens outside the transaction.
  const hash = await control.hasher.hashChosen(token)
  await control.db.transaction(async (tx) => {
    await tx.sql`select pg_advisory_xact_lock(hashtextextended('admin_token_seed', 0))`
    const existing = await findSeeded(tx, lookup, BOOTSTRAP)
    if (existing === null) {
      await insertAdminToken(tx, {
        id: uuidv7(),
        name: 'bootstrap',
        lookup,
        hash,
        scope: 'global',
        zoneId: null,
        capability: 'write',
        createdBy: BOOTSTRAP,
      })
    } else if (existing.revoked) {
      control.log.warn('bootstrap_admin_token_is_revoked')
    }
    for (const id of await revokeOtherSeeded(tx, BOOTSTRAP, lookup)) {
      await control.outbox.enqueue(tx, 'control', [iamInvalidated(id)])
    }
  })
}
