/** Links whose hash was vouched for earlier: the sweep's checkpoint and the newest signed tree head of a zone. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface Attested {
  readonly chainSeq: number
  readonly contentSha256: string
}

export async function attestedLinks({ sql }: Queryable, zoneId: string): Promise<Attested[]> {
  const rows = await sql<Attested[]>`
    (select verified_seq::float8 as "chainSeq", verified_sha256 as "contentSha256"
     from audit_tamper_checkpoints
     where zone_id = ${zoneId})
    union all
    (select tree_size::float8, chain_sha256
     from audit_tree_heads
     where zone_id = ${zoneId}
     order by tree_size desc
     limit 1)`
  return [...rows]
}

/** The number the last clean sweep reached, 0 before the first. */
export async function checkpointSequence({ sql }: Queryable, chain: string): Promise<number> {
  const [row] = await sql<{ seq: number }[]>`
    select verified_seq::float8 as seq
    from audit_tamper_checkpoints
    where zone_id = ${chain}`
  return row?.seq ?? 0
}

/** Records how far a chain was found clean; never goes back. */
export async function recordCheckpoint({ sql }: Queryable, chain: string, link: Attested): Promise<void> {
  await sql`
    insert into audit_tamper_checkpoints (zone_id, verified_seq, verified_sha256, verified_at)
    values (${chain}, ${link.chainSeq}, ${link.contentSha256}, now())
    on conflict (zone_id) do update
    set verified_seq = excluded.verified_seq,
        verified_sha256 = excluded.verified_sha256,
        verified_at = excluded.verified_at
    where audit_tamper_checkpoints.verified_seq <= excluded.verified_seq`
}
