/**
 * The coordinator's advisory locks, all held to the end of the transaction. Order, everywhere:
 * idempotency key → spawn → delegation graph → audit chain → rows (storage-and-operations §7.2).
 */
import type { Tx } from '../../../platform/db/port.ts'

const spawn = (zoneId: string): string => `coordinator:agent_spawn:${zoneId}`
const graph = (zoneId: string): string => `delegation:${zoneId}`

/** Serialises everything that counts, suspends or ends sessions of the zone. */
export async function lockSpawn(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${spawn(zoneId)}))`
}

/** Serialises every change of the zone's delegation graph against each other and against minting. */
export async function lockGraph(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${graph(zoneId)}))`
}

/** Both, in their order, in one statement. */
export async function lockZone(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`
    select
      pg_advisory_xact_lock(hashtext(${spawn(zoneId)})),
      pg_advisory_xact_lock(hashtext(${graph(zoneId)}))`
}
