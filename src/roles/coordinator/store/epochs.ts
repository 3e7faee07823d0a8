import type { Tx } from '../../../platform/db/port.ts'

/** The zone's graph epoch; a zone without delegations gets its row with 1. Does not raise it. */
export async function currentEpoch(tx: Tx, zoneId: string): Promise<number> {
  const [row] = await tx.sql<{ epoch: string }[]>`
    with created as (
      insert into delegation_graph_epochs (zone_id, epoch)
      values (${zoneId}, 1)
      on conflict (zone_id) do nothing
      returning epoch
    )
    select epoch::text from created
    union all
    select epoch::text from delegation_graph_epochs where zone_id = ${zoneId}
    limit 1`
  return Number(row?.epoch ?? 1)
}

/** Raises the epoch by one: authority of the zone shrank in this transaction. Only under the graph lock. */
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
