/**
 * The tokens the environment brings (control-api §3.2). Idempotent; a new value ends
 * its predecessors, and a row that was revoked stays revoked.
 */
import type { Tx } from '../../platform/db/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { BOOTSTRAP, type SeededToken, seededTokens } from './console-tokens.ts'
import type { Control } from './control.ts'
import { iamInvalidated } from './events.ts'
import { findSeeded, insertAdminToken, revokeOtherSeeded } from './store/admin-tokens.ts'

interface Seed extends SeededToken {
  readonly lookup: Buffer
  /** `null` for a token that has its row. */
  readonly hash: string | null
}

/** Brings `admin_tokens` in line with `CARACAL_ADMIN_TOKEN`; without the variable nothing changes. */
export async function seedAdminTokens(control: Control): Promise<void> {
  const token = control.settings.CARACAL_ADMIN_TOKEN
  if (token === null) return
  const seeds = await Promise.all(seededTokens(token).map((seeded) => prepare(control, seeded)))
  await control.db.transaction(async (tx) => {
    await tx.sql`select pg_advisory_xact_lock(hashtextextended('admin_token_seed', 0))`
    for (const seed of seeds) await sow(control, tx, seed)
  })
}

/** Hashing costs tens of milliseconds, so it happens outside the transaction, and for a new token only. */
async function prepare({ db, hasher }: Control, seeded: SeededToken): Promise<Seed> {
  const lookup = hasher.lookup(seeded.token)
  const isKnown = (await findSeeded(db, lookup, seeded.createdBy)) !== null
  return { ...seeded, lookup, hash: isKnown ? null : await hasher.hashChosen(seeded.token) }
}

async function sow(
  control: Control,
  tx: Tx,
  { name, capability, createdBy, lookup, hash }: Seed,
): Promise<void> {
  const existing = await findSeeded(tx, lookup, createdBy)
  if (existing === null && hash !== null) {
    await insertAdminToken(tx, {
      id: uuidv7(),
      name,
      lookup,
      hash,
      scope: 'global',
      zoneId: null,
      capability,
      createdBy,
    })
  } else if (existing?.revoked === true && createdBy === BOOTSTRAP) {
    control.log.warn('bootstrap_admin_token_is_revoked')
  }
  for (const id of await revokeOtherSeeded(tx, createdBy, lookup)) {
    await control.outbox.enqueue(tx, 'control', [iamInvalidated(id)])
  }
}
