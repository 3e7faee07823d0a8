/** Leaves and signed heads of the zones' Merkle trees. Written only under `lockTree`. */
import type { Queryable, Tx } from '../../../platform/db/port.ts'

export const blockLeaves = 1_024

export interface TreeHeadRow {
  readonly treeSize: number
  readonly rootSha256: string
  readonly chainSha256: string
  readonly statement: string
}

/** The newest head, null before the first. */
export async function newestHead({ sql }: Queryable, zoneId: string): Promise<TreeHeadRow | null> {
  const [row] = await sql<TreeHeadRow[]>`
    select tree_size::float8 as "treeSize", root_sha256 as "rootSha256", chain_sha256 as "chainSha256", statement
    from audit_tree_heads
    where zone_id = ${zoneId}
    order by tree_size desc
    limit 1`
  return row ?? null
}

export async function insertHead(
  { sql }: Tx,
  zoneId: string,
  head: TreeHeadRow,
  signedAt: string,
): Promise<void> {
  await sql`
    insert into audit_tree_heads (zone_id, tree_size, root_sha256, chain_sha256, statement, signed_at)
    values (${zoneId}, ${head.treeSize}, ${head.rootSha256}, ${head.chainSha256}, ${head.statement},
      ${signedAt}::timestamptz)`
}

/** Leaf hashes of one block, concatenated; empty when there is no such block. */
export async function readLeaves({ sql }: Queryable, zoneId: string, block: number): Promise<Buffer> {
  const [row] = await sql<{ leaves: Buffer }[]>`
    select leaves
    from audit_tree_blocks
    where zone_id = ${zoneId}
      and block = ${block}`
  return row?.leaves ?? Buffer.alloc(0)
}

/** Roots of the blocks below `blocks`, in order: 32 bytes for every 1,024 events of the zone. */
export async function readBlockRoots({ sql }: Queryable, zoneId: string, blocks: number): Promise<Buffer[]> {
  const rows = await sql<{ root: Buffer }[]>`
    select root
    from audit_tree_blocks
    where zone_id = ${zoneId}
      and block < ${blocks}
    order by block`
  if (rows.length !== blocks)
    throw new Error(`the tree of a zone lacks a block (${rows.length} of ${blocks})`)
  return rows.map((row) => row.root)
}

/** Writes a block as it stands now; only the last one of a tree ever grows. */
export async function writeBlock(
  { sql }: Tx,
  zoneId: string,
  block: number,
  leaves: Buffer,
  root: Buffer,
): Promise<void> {
  await sql`
    insert into audit_tree_blocks (zone_id, block, leaves, root)
    values (${zoneId}, ${block}, ${leaves}, ${root})
    on conflict (zone_id, block) do update
    set leaves = excluded.leaves, root = excluded.root`
}

/** Zones whose chain is longer than their tree. */
export async function zonesBehind({ sql }: Queryable, limit: number): Promise<string[]> {
  const rows = await sql<{ zone_id: string }[]>`
    select head.zone_id
    from audit_chain_heads head
    join zones z on z.id = head.zone_id
    where head.chain_seq > coalesce((select max(t.tree_size) from audit_tree_heads t where t.zone_id = head.zone_id), 0)
    order by head.updated_at
    limit ${limit}`
  return rows.map((row) => row.zone_id)
}

/** Sequence number of an event of the zone, null when there is no such event. */
export async function sequenceOf(
  { sql }: Queryable,
  zoneId: string,
  eventId: string,
): Promise<number | null> {
  const [row] = await sql<{ seq: number | null }[]>`
    select chain_seq::float8 as seq
    from audit_events
    where id = ${eventId}
      and zone_id = ${zoneId}
    limit 1`
  return row?.seq ?? null
}
