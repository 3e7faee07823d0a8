/** `delegation_graph_epochs`. Everything here runs under the zone's graph lock. */
import type { Tx } from '../../../platform/db/port.ts'

/** The zone's graph epoch; null for a zone that never had a delegation. */
export async function readEpoch(tx: Tx, zoneId: string): Promise<number | null> {
  const [row] = await tx.sql<{ epoch: string }[]>`
    select epoch::text from delegation_graph_epochs where zone_id = ${zoneId}`
  return row === undefined ? null : Number(row.epoch)
}

/** The first delegation of a zone starts its epoch at 1; a create never raises it (coordinator §8.7). */
export async function startEpoch(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`
    insert into delegation_graph_epochs (zone_id, epoch)
    values (${zoneId}, 1)
    on conflict (zone_id) do nothing`
}

/** Raises the epoch by one: authority of the zone shrank in this transaction. */
export async function raiseEpoch(tx: Tx, zoneId: string): Promise<number> {
  const [row] = await tx.sql<{ epoch: string }[]>`
    insert into delegation_graph_epochs (zone_id, epoch)
    values (${zoneId}, 1)
    on conflict (zone_id) do update
    set epoch = delegation_graph_epochs.epoch + 1,
        updated_at = now()
    returning epoch::text`
  return Number(row?.epoch ?? 1)
}
