/**
 * Appends authentic events to their zones' chains. Round trips: one for the canonical JSON
 * of the whole batch, then per zone lock and reads together, one insert, commit. Many events share
 * one zone lock; a transaction takes one such lock only, so several zones go side by side and two
 * replicas cannot deadlock.
 */
import type { Database, Tx } from '../../../platform/db/port.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { chainKeyId, contentHash, linkHmac, type StoredForm } from '../canonical.ts'
import { recordAlert } from '../store/alerts.ts'
import { type CanonicalJson, canonicalJson } from '../store/canonical-json.ts'
import {
  appendLinks,
  type ChainedRow,
  chainHead,
  lockChain,
  type StoredKey,
  storedHashes,
  storedKey,
} from '../store/chain.ts'
import type { IncomingEvent } from './classify.ts'

/** `stored` and `duplicate` may be acknowledged; `tampered` goes to the dead letters. */
export type Appended = 'stored' | 'duplicate' | 'tampered'

const zonesAtOnce = 4

interface Prepared {
  readonly event: IncomingEvent
  readonly form: StoredForm
  readonly hash: string
}

/** Stores every event once; the answer has one element for each, in order. Rejects without storing anything of the failing zone. */
export async function appendEvents(
  db: Database,
  key: HmacKey,
  events: readonly IncomingEvent[],
): Promise<Map<IncomingEvent, Appended>> {
  const json = await canonicalJson(
    db,
    events.map((event) => event.json),
  )
  const byZone = new Map<string, Prepared[]>()
  events.forEach((event, index) => {
    const form = storedForm(event, json[index])
    const list = byZone.get(event.zoneId) ?? []
    list.push({ event, form, hash: contentHash(form) })
    byZone.set(event.zoneId, list)
  })
  const outcomes = new Map<IncomingEvent, Appended>()
  const waiting = [...byZone]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [zoneId, prepared] = next
      const appended = await db.transaction((tx) => appendToZone(tx, key, zoneId, prepared))
      for (const [event, outcome] of appended) outcomes.set(event, outcome)
    }
  }
  // All of them are awaited before one failure is told: no append goes on behind the caller's back.
  const workers = await Promise.allSettled(
    Array.from({ length: Math.min(zonesAtOnce, waiting.length) }, work),
  )
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason
  return outcomes
}

async function appendToZone(
  tx: Tx,
  key: HmacKey,
  zoneId: string,
  prepared: readonly Prepared[],
): Promise<Map<IncomingEvent, Appended>> {
  // Sent together, run one after the other: what is read is read under the lock, each with its own snapshot.
  const [, known, head] = await Promise.all([
    lockChain(tx, zoneId),
    storedHashes(
      tx,
      prepared.map(({ form }) => keyOf(form)),
    ),
    chainHead(tx, zoneId),
  ])
  const outcomes = new Map<IncomingEvent, Appended>()
  const rows: ChainedRow[] = []
  let sequence = head?.chainSeq ?? 0
  let previous = head?.contentSha256 ?? null
  for (const { event, form, hash } of prepared) {
    const stored = known.get(storedKey(keyOf(form)))
    if (stored !== undefined) {
      outcomes.set(event, stored === hash ? 'duplicate' : 'tampered')
      if (stored !== hash) await recordMismatch(tx, form, stored, hash)
      continue
    }
    known.set(storedKey(keyOf(form)), hash)
    sequence += 1
    rows.push(link(event, form, hash, previous, sequence, key))
    previous = hash
    outcomes.set(event, 'stored')
  }
  await appendLinks(tx, zoneId, rows)
  return outcomes
}

function keyOf(form: StoredForm): StoredKey {
  return { id: form.id, occurredAt: form.occurredAt.text }
}

function link(
  event: IncomingEvent,
  form: StoredForm,
  hash: string,
  previous: string | null,
  sequence: number,
  key: HmacKey,
): ChainedRow {
  return {
    id: form.id,
    zone_id: form.zoneId,
    event_type: form.eventType,
    request_id: form.requestId,
    decision: form.decision,
    policy_set_id: form.policySetId,
    policy_set_version_id: form.policySetVersionId,
    manifest_sha: form.manifestSha,
    evaluation_status: form.evaluationStatus,
    determining_policies: form.determiningPolicies,
    diagnostics: form.diagnostics,
    metadata: form.metadata,
    occurred_at: form.occurredAt.text,
    content_sha256: hash,
    prev_content_sha256: previous,
    chain_hmac: linkHmac(key.current, hash, previous),
    chain_seq: sequence,
    ingest_signature: event.signature,
    chain_key_id: chainKeyId(key.current),
  }
}

async function recordMismatch(tx: Tx, form: StoredForm, stored: string, incoming: string): Promise<void> {
  await recordAlert(tx, {
    eventId: form.id,
    zoneId: form.zoneId,
    kind: 'content_mismatch_on_replay',
    detail: `stored=${stored} incoming=${incoming}`,
  })
}

function storedForm(event: IncomingEvent, json: CanonicalJson | undefined): StoredForm {
  return {
    id: event.id,
    zoneId: event.zoneId,
    eventType: event.eventType,
    requestId: event.requestId,
    decision: event.decision,
    policySetId: event.policySetId,
    policySetVersionId: event.policySetVersionId,
    manifestSha: event.manifestSha,
    evaluationStatus: event.evaluationStatus,
    determiningPolicies: json?.determiningPolicies ?? null,
    diagnostics: json?.diagnostics ?? null,
    metadata: json?.metadata ?? null,
    occurredAt: event.occurredAt,
  }
}
