/** Ranges of links that retention took out of the chains. Written once, never changed. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface ChainCut {
  readonly zoneId: string
  readonly fromSeq: number
  readonly toSeq: number
  /** `prev_content_sha256` of the first link taken; null when it began the chain. */
  readonly prevSha256: string | null
  /** `content_sha256` of the last link taken. */
  readonly lastSha256: string
  /** ISO 8601, milliseconds. */
  readonly cutAt: string
  readonly cutHmac: string
  readonly chainKeyId: string | null
}

export async function insertCuts({ sql }: Queryable, cuts: readonly ChainCut[]): Promise<void> {
  const rows = cuts.map((cut) => ({
    zone_id: cut.zoneId,
    from_seq: cut.fromSeq,
    to_seq: cut.toSeq,
    prev_sha256: cut.prevSha256,
    last_sha256: cut.lastSha256,
    cut_at: cut.cutAt,
    cut_hmac: cut.cutHmac,
    chain_key_id: cut.chainKeyId,
  }))
  for (let start = 0; start < rows.length; start += 1000) {
    await sql`
      insert into audit_chain_cuts (
        zone_id, from_seq, to_seq, prev_sha256, last_sha256, cut_at, cut_hmac, chain_key_id
      )
      select zone_id, from_seq, to_seq, prev_sha256, last_sha256, cut_at, cut_hmac, chain_key_id
      from jsonb_to_recordset(${JSON.stringify(rows.slice(start, start + 1000))}::text::jsonb) as cut(
        zone_id text, from_seq bigint, to_seq bigint, prev_sha256 text, last_sha256 text,
        cut_at timestamptz, cut_hmac text, chain_key_id text
      )`
  }
}

/** Cuts of the zone that took any of `fromSeq` to `toSeq`, ascending. */
export async function cutsAcross(
  { sql }: Queryable,
  zoneId: string,
  fromSeq: number,
  toSeq: number,
): Promise<ChainCut[]> {
  const rows = await sql<ChainCut[]>`
    select zone_id as "zoneId", from_seq::float8 as "fromSeq", to_seq::float8 as "toSeq",
           prev_sha256 as "prevSha256", last_sha256 as "lastSha256",
           to_char(cut_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "cutAt",
           cut_hmac as "cutHmac", chain_key_id as "chainKeyId"
    from audit_chain_cuts
    where zone_id = ${zoneId}
      and from_seq <= ${toSeq}
      and to_seq >= ${fromSeq}
    order by from_seq`
  return [...rows]
}
