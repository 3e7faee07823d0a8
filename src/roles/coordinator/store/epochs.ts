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

/** Raises the epochs by one: authority of these zones shrank in this transaction. Answers them by zone. */
export async function raiseEpochs(tx: Tx, zoneIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (zoneIds.length === 0) return new Map()
  const rows = await tx.sql<{ zone_id: string; epoch: string }[]>`
    insert into delegation_graph_epochs (zone_id, epoch)
    select zone, 1
    from unnest(${zoneIds as string[]}::text[]) as zone
    order by zone collate "C"
    on conflict (zone_id) do update
    set epoch = delegation_graph_epochs.epoch + 1,
        updated_at = now()
    returning zone_id, epoch::text`
  return new Map(rows.map(({ zone_id, epoch }) => [zone_id, Number(epoch)]))
}

/** As `raiseEpochs`, of one zone. */
export async function raiseEpoch(tx: Tx, zoneId: string): Promise<number> {
  return (await raiseEpochs(tx, [zoneId])).get(zoneId) ?? 1
}
