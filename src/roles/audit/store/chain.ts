/**
 * The per-zone chain: the only code that inserts into `audit_events` and its labels, and moves
 * `audit_chain_heads`. Both change in one transaction under the zone's advisory lock,
 * taken before the head is read (storage-and-operations §7.2).
 */
import { awaitNamedLocks } from '../../../platform/db/advisory-locks.ts'
import type { Tx } from '../../../platform/db/port.ts'
import { indexedCharacters } from '../../../platform/db/schema/audit.ts'

export interface ChainHead {
  readonly chainSeq: number
  readonly contentSha256: string
}

/** One row of `audit_events` as it is inserted; JSON members are `jsonb::text`. */
export interface ChainedRow {
  readonly id: string
  readonly zone_id: string
  readonly event_type: string
  readonly request_id: string
  readonly decision: string
  readonly policy_set_id: string
  readonly policy_set_version_id: string
  readonly manifest_sha: string
  readonly evaluation_status: string
  readonly determining_policies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
  readonly occurred_at: string
  readonly content_sha256: string
  readonly prev_content_sha256: string | null
  readonly chain_hmac: string
  readonly chain_seq: number
  readonly ingest_signature: string | null
  readonly chain_key_id: string | null
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
    zoneId: row.zone_id,
    label,
    occurredAt: row.occurred_at,
    eventId: row.id,
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
 * in one statement. Only under `lockChains`. Fails with `hashRefused`.
 */
export function appendLinks(tx: Tx, rows: readonly ChainedRow[]): void {
  if (rows.length === 0) return
  const last = new Map(rows.map((row) => [row.zone_id, row]))
  const labels = rows.flatMap(labelsOf)
  tx.send(tx.sql`
    with appended as (
      insert into audit_events (
        id, zone_id, event_type, request_id, decision, policy_set_id, policy_set_version_id, manifest_sha,
        evaluation_status, occurred_at, content_sha256, prev_content_sha256, chain_hmac, chain_seq,
        ingest_signature, chain_key_id, determining_policies_json, diagnostics_json, metadata_json
      )
      select
        link->>0, link->>1, link->>2, nullif(link->>3, ''), nullif(link->>4, ''), nullif(link->>5, ''),
        nullif(link->>6, ''), nullif(link->>7, ''), nullif(link->>8, ''), (link->>9)::timestamptz,
        case
          when link->>10 = encode(sha256(convert_to(concat_ws(
            E'\x1f', link->>0, link->>1, link->>2, link->>3, link->>4, link->>5, link->>6, link->>7, link->>8,
            (link->16)::text, (link->17)::text, (link->18)::text,
            ((extract(epoch from (link->>9)::timestamptz) * 1000000)::bigint * 1000)::text
          ), 'UTF8')), 'hex') then link->>10
          else audit_hash_refused(link->>0)
        end,
        link->>11, link->>12, (link->>13)::bigint, link->>14, link->>15,
        nullif(link->16, 'null'), nullif(link->17, 'null'), nullif(link->18, 'null')
      from jsonb_array_elements(${`[${rows.map(linkText).join(',')}]`}::text::jsonb) as link
    )${labels.length === 0 ? tx.sql`` : tx.sql`, labelled as (${insertLabels(tx, labels)})`}
    insert into audit_chain_heads (zone_id, chain_seq, content_sha256, updated_at)
    select zone_id, chain_seq, content_sha256, clock_timestamp()
    from unnest(
      ${[...last.keys()]}::text[],
      ${[...last.values()].map((row) => row.chain_seq)}::bigint[],
      ${[...last.values()].map((row) => row.content_sha256)}::text[]
    ) as head(zone_id, chain_seq, content_sha256)
    on conflict (zone_id) do update
    set chain_seq = excluded.chain_seq,
        content_sha256 = excluded.content_sha256,
        updated_at = excluded.updated_at`)
}

/** A link as JSON, in the order in which the insert takes it apart; the JSON members are texts of JSON already. */
function linkText(row: ChainedRow): string {
  const plain = JSON.stringify([
    row.id,
    row.zone_id,
    row.event_type,
    row.request_id,
    row.decision,
    row.policy_set_id,
    row.policy_set_version_id,
    row.manifest_sha,
    row.evaluation_status,
    row.occurred_at,
    row.content_sha256,
    row.prev_content_sha256,
    row.chain_hmac,
    row.chain_seq,
    row.ingest_signature,
    row.chain_key_id,
  ])
  return `${plain.slice(0, -1)},${row.determining_policies},${row.diagnostics},${row.metadata}]`
}
