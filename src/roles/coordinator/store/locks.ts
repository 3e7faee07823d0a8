/**
 * The coordinator's advisory locks, all held to the end of the transaction. Order, everywhere:
 * idempotency key → spawn → delegation graph → audit chain → rows (storage-and-operations §7.2).
 */
import type { Tx } from '../../../platform/db/port.ts'

/** Serialises everything that counts or ends sessions of the zone. */
export async function lockSpawn(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${`coordinator:agent_spawn:${zoneId}`}))`
}

/** Serialises every change of the zone's delegation graph against each other and against minting. */
export async function lockGraph(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${`delegation:${zoneId}`}))`
}
