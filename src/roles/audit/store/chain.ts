/**
 * The per-zone chain: the only code that inserts into `audit_events` and its labels, and moves
 * `audit_chain_heads`. Both change in one transaction under the zone's advisory lock,
 * taken before the head is read (storage-and-operations §7.2).
 */
import { awaitNamedLocks } from '../../../platform/db/advisory-locks.ts'
import type { Tx } from '../../../platform/db/port.ts'
import { indexedCharacters } from '../../../platform/db/schema/audit.ts'
import type { StoredForm } from '../canonical.ts'
import { linkLines } from './link-lines.ts'

export interface ChainHead {
  readonly chainSeq: number
  readonly contentSha256: string
}

/** One row of `audit_events` as it is inserted. */
export interface ChainedRow {
  /** Its JSON members are `jsonb::text`. */
  readonly form: StoredForm
  /** `canonicalText` of the form. */
  readonly canonical: string
  readonly contentSha256: string
  readonly prevContentSha256: string | null
  readonly chainHmac: string
  readonly chainSeq: number
  readonly ingestSignature: string | null
  readonly chainKeyId: string | null
  /** `agent_labels` of the metadata. */
  readonly labels: readonly string[]
}

export interface StoredKey {
  readonly id: string
  readonly occurredAt: string
}

/** Blocks until this transaction is the only writer of these zones' chains. */
export async function lockChains(tx: Tx, zoneIds: readonly string[]): Promise<void> {
  await awaitNamedLocks(
    tx,
    zoneIds.map((zone) => `audit:${zone}`),
  )
}

/** The newest link of each chain that is not empty. Only under `lockChains`. */
export async function chainHeads(tx: Tx, zoneIds: readonly string[]): Promise<Map<string, ChainHead>> {
  const rows = await tx.sql<{ zone_id: string; chain_seq: string; content_sha256: string }[]>`
    select zone_id, chain_seq::text, content_sha256
    from audit_chain_heads
    where zone_id = any(${zoneIds as string[]}::text[])`
  return new Map(
    rows.map((row) => [row.zone_id, { chainSeq: Number(row.chain_seq), contentSha256: row.content_sha256 }]),
  )
}

/** How `storedHashes` names an event. */
export function storedKey(key: StoredKey): string {
  return `${key.id} ${key.occurredAt}`
}

/** Content hashes of events already stored under the same (id, occurred_at), by `storedKey`; uses the primary key. */
export async function storedHashes(tx: Tx, keys: readonly StoredKey[]): Promise<Map<string, string>> {
  const rows = await tx.sql<{ id: string; occurredAt: string; content_sha256: string }[]>`
    select given.id, given.occurred_at as "occurredAt", stored.content_sha256
    from unnest(
      ${keys.map((key) => key.id)}::text[],
      ${keys.map((key) => key.occurredAt)}::text[]
    ) as given(id, occurred_at)
    join audit_events as stored
      on stored.id = given.id
      and stored.occurred_at = given.occurred_at::timestamptz`
  return new Map(rows.map((row) => [storedKey(row), row.content_sha256]))
}

/** The SQLSTATE with which the server refuses a link whose content hash is not that of its row. */
export const hashRefused = 'CA001'

interface LabelRow {
  readonly zoneId: string
  readonly label: string
  readonly occurredAt: string
  readonly eventId: string
}

/** A row for each label of an event. */
function labelsOf(row: ChainedRow): LabelRow[] {
  if (row.labels.length === 0) return []
  const cut = (label: string) =>
    label.length <= indexedCharacters ? label : [...label].slice(0, indexedCharacters).join('')
  return [...new Set(row.labels.map(cut))].map((label) => ({
    zoneId: row.form.zoneId,
    label,
    occurredAt: row.form.occurredAt.text,
    eventId: row.form.id,
  }))
}

const insertLabels = ({ sql }: Tx, labels: readonly LabelRow[]) => sql`
  insert into audit_event_labels (zone_id, label, occurred_at, event_id)
  select zone_id, label, occurred_at::timestamptz, event_id
  from unnest(
    ${labels.map((one) => one.zoneId)}::text[],
    ${labels.map((one) => one.label)}::text[],
    ${labels.map((one) => one.occurredAt)}::text[],
    ${labels.map((one) => one.eventId)}::text[]
  ) as given(zone_id, label, occurred_at, event_id)`

/**
 * Inserts the links, of each zone in the order of its chain, and moves each head to the last of them,
 * in one statement. Only under `lockChains`. Fails with `hashRefused`, and with a unique violation where
 * an event is stored already.
 *
 * The server takes the text that was hashed apart: a link is stored only if that text has this hash, and its JSON
 * and its time are spelled there as the row will give them back. So nothing of it is put together or spelled twice.
 */
export function appendLinks(tx: Tx, rows: readonly ChainedRow[]): void {
  if (rows.length === 0) return
  const last = new Map(rows.map((row) => [row.form.zoneId, row]))
  const labels = rows.flatMap(labelsOf)
  const { contents, links, between } = linkLines(rows)
  tx.send(tx.sql`
    with appended as (
      insert into audit_events (
        id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha,
        evaluation_status, occurred_at, content_sha256, prev_content_sha256, chain_hmac, chain_seq,
        ingest_signature, chain_key_id, determining_policies_json, diagnostics_json, metadata_json
      )
      select
        c[1], c[2], c[3], nullif(c[4], ''), nullif(c[5], ''), nullif(c[6], ''), nullif(c[7], ''), nullif(c[8], ''),
        nullif(c[9], ''), occurred_at,
        case
          when policies::text = c[10] and diagnostics::text = c[11] and metadata::text = c[12]
            and ((extract(epoch from occurred_at) * 1000000)::bigint * 1000)::text = c[13]
            and encode(sha256(convert_to(replace(content, ${between.fields}, E'\x1f'), 'UTF8')), 'hex') = l[2]
          then l[2]
          else audit_hash_refused(c[1])
        end,
        l[3], l[4], l[5]::bigint, l[6], l[7],
        nullif(policies, 'null'), nullif(diagnostics, 'null'), nullif(metadata, 'null')
      from (
        select content, c, l, l[1]::timestamptz as occurred_at,
               c[10]::jsonb as policies, c[11]::jsonb as diagnostics, c[12]::jsonb as metadata
        from (
          select content, string_to_array(content, ${between.fields}) as c,
                 string_to_array(link, ${between.fields}, ${between.nulls}) as l
          from rows from (
            string_to_table(${contents}, ${between.rows}), string_to_table(${links}, ${between.rows})
          ) as line(content, link)
          offset 0
        ) taken
        offset 0
      ) spelled
    )${labels.length === 0 ? tx.sql`` : tx.sql`, labelled as (${insertLabels(tx, labels)})`}
    insert into audit_chain_heads (zone_id, chain_seq, content_sha256, updated_at)
    select zone_id, chain_seq, content_sha256, clock_timestamp()
    from unnest(
      ${[...last.keys()]}::text[],
      ${[...last.values()].map((row) => row.chainSeq)}::bigint[],
      ${[...last.values()].map((row) => row.contentSha256)}::text[]
    ) as head(zone_id, chain_seq, content_sha256)
    on conflict (zone_id) do update
    set chain_seq = excluded.chain_seq,
        content_sha256 = excluded.content_sha256,
        updated_at = excluded.updated_at`)
}
