/**
 * The advisory locks of a zone that several roles take, named here alone: under another name a mint would pass a
 * revocation. All are held to the end of the transaction. Order, everywhere: idempotency key → spawn → delegation
 * graph → audit chain → rows (storage-and-operations §7.2). `sts_issue` of the migrations names the graph's itself.
 */
import type { Queryable, Tx } from './port.ts'

/** Names, hashed with `hashtext`. */
export const spawnLock = (zoneId: string): string => `coordinator:agent_spawn:${zoneId}`
export const graphLock = (zoneId: string): string => `delegation:${zoneId}`

/** Serialises everything that counts, suspends or ends sessions of the zone. */
export async function lockSpawn(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${spawnLock(zoneId)}))`
}

/** Serialises every change of the zone's delegation graph against each other and against minting. */
export async function lockGraph(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${graphLock(zoneId)}))`
}

/** Both, in their order, in one statement. */
export async function lockAuthority(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`
    select
      pg_advisory_xact_lock(hashtext(${spawnLock(zoneId)})),
      pg_advisory_xact_lock(hashtext(${graphLock(zoneId)}))`
}

/** For who only rests on the graph: graph changes and revocations wait for it. The statement, to be sent with others. */
export function lockGraphShared(sql: Queryable['sql'], zoneId: string) {
  return sql`select pg_advisory_xact_lock_shared(hashtext(${graphLock(zoneId)}))`
}
