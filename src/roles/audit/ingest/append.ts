/**
 * Appends authentic events to their zones' chains, in one transaction for all zones of a batch: locks and
 * heads together, one insert, commit. What the hashes cover is spelled here and compared by the server as it
 * stores it; only events of which the spelling cannot be told here cost a round trip before. Many events share
 * one zone lock, many zones one commit; the locks are taken in one order, so two replicas cannot deadlock.
 */
import type { Database, TransactionOptions, Tx } from '../../../platform/db/port.ts'
import { isUniqueViolation, sqlState } from '../../../platform/db/unavailable.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import { canonicalText, chainKeyId, hashOfText, linkHmac, type StoredForm } from '../canonical.ts'
import { jsonbText, keepsSpelling } from '../jsonb-text.ts'
import { recordAlert } from '../store/alerts.ts'
import { type CanonicalJson, canonicalJson } from '../store/canonical-json.ts'
import {
  appendLinks,
  type ChainedRow,
  chainHeads,
  hashRefused,
  lockChains,
  type StoredKey,
  storedHashes,
  storedKey,
} from '../store/chain.ts'
import type { IncomingEvent } from './classify.ts'

/** `stored` and `duplicate` may be acknowledged; `tampered` goes to the dead letters. */
export type Appended = 'stored' | 'duplicate' | 'tampered'

/** Who spelled the JSON that a hash covers: this process, as Postgres would, or Postgres. */
type Speller = 'here' | 'store'

/** An event in the form it is stored and hashed in. */
export interface Prepared {
  readonly event: IncomingEvent
  readonly form: StoredForm
  /** The text the hash covers. */
  readonly canonical: string
  readonly hash: string
}

/** What can be done before the chains are locked. Rejects when Postgres refuses an event or cannot be asked. */
export async function prepareEvents(
  db: Database,
  events: readonly IncomingEvent[],
  speller: Speller = 'here',
): Promise<Prepared[]> {
  const spelled = events.map((event) => (speller === 'here' ? spelledHere(event) : null))
  const unsure = events.filter((_, index) => spelled[index] === null)
  const json =
    unsure.length === 0
      ? []
      : await canonicalJson(
          db,
          unsure.map((event) => event.json),
        )
  let answered = 0
  return events.map((event, index): Prepared => {
    const form = storedForm(event, spelled[index] ?? json[answered++] ?? null)
    const canonical = canonicalText(form)
    return { event, form, canonical, hash: hashOfText(canonical) }
  })
}

/** Null where only Postgres can tell. */
function spelledHere({ json, members }: IncomingEvent): CanonicalJson | null {
  const met = { numbers: false }
  const determiningPolicies = jsonbText(members.determining_policies_json ?? null, met)
  const diagnostics = jsonbText(members.diagnostics_json ?? null, met)
  const metadata = jsonbText(members.metadata_json ?? null, met)
  if (determiningPolicies === null || diagnostics === null || metadata === null) return null
  if (met.numbers && !keepsSpelling(json)) return null
  const stored = (text: string) => (text === 'null' ? null : text)
  return {
    determiningPolicies: stored(determiningPolicies),
    diagnostics: stored(diagnostics),
    metadata: stored(metadata),
  }
}

/** `flush: 'later'` only where the acknowledgement of the entries is a later commit of the same store. */
export type AppendOptions = Pick<TransactionOptions, 'flush'>

/** `prepareEvents` and `appendPrepared` in one. */
export async function appendEvents(
  db: Database,
  key: HmacKey,
  events: readonly IncomingEvent[],
  options: AppendOptions = {},
): Promise<Map<IncomingEvent, Appended>> {
  return await appendPrepared(db, key, await prepareEvents(db, events), options)
}

/**
 * Stores every event once and answers what became of each. Rejects without storing anything.
 * Hardly an event comes twice: which are stored already is looked up once the insert was refused for one of them.
 */
export async function appendPrepared(
  db: Database,
  key: HmacKey,
  prepared: readonly Prepared[],
  options: AppendOptions = {},
): Promise<Map<IncomingEvent, Appended>> {
  if (areDistinct(prepared)) {
    try {
      return await db.transaction((tx) => append(tx, key, prepared, noneStored), options)
    } catch (error) {
      if (sqlState(error) !== hashRefused && !isUniqueViolation(error)) throw error
    }
  }
  const events = prepared.map(({ event }) => event)
  const again = await prepareEvents(db, events, 'store')
  return await db.transaction((tx) => append(tx, key, again, storedHashes), options)
}

function areDistinct(prepared: readonly Prepared[]): boolean {
  return new Set(prepared.map(({ form }) => storedKey(keyOf(form)))).size === prepared.length
}

const noneStored: typeof storedHashes = async () => new Map()

async function append(
  tx: Tx,
  key: HmacKey,
  prepared: readonly Prepared[],
  lookUp: typeof storedHashes,
): Promise<Map<IncomingEvent, Appended>> {
  const zones = [...new Set(prepared.map(({ form }) => form.zoneId))]
  // Sent together, run one after the other: what is read is read under the locks, each with its own snapshot.
  const [, known, heads] = await Promise.all([
    lockChains(tx, zones),
    lookUp(
      tx,
      prepared.map(({ form }) => keyOf(form)),
    ),
    chainHeads(tx, zones),
  ])
  const keyId = chainKeyId(key.current)
  const outcomes = new Map<IncomingEvent, Appended>()
  const rows: ChainedRow[] = []
  for (const { event, form, canonical, hash } of prepared) {
    const stored = known.get(storedKey(keyOf(form)))
    if (stored !== undefined) {
      outcomes.set(event, stored === hash ? 'duplicate' : 'tampered')
      if (stored !== hash) await recordMismatch(tx, form, stored, hash)
      continue
    }
    known.set(storedKey(keyOf(form)), hash)
    const head = heads.get(form.zoneId)
    const previous = head?.contentSha256 ?? null
    const next = { chainSeq: (head?.chainSeq ?? 0) + 1, contentSha256: hash }
    rows.push({
      form,
      canonical,
      contentSha256: hash,
      prevContentSha256: previous,
      chainHmac: linkHmac(key.current, hash, previous),
      chainSeq: next.chainSeq,
      ingestSignature: event.signature,
      chainKeyId: keyId,
      labels: labelsOf(event),
    })
    heads.set(form.zoneId, next)
    outcomes.set(event, 'stored')
  }
  appendLinks(tx, rows)
  return outcomes
}

function keyOf(form: StoredForm): StoredKey {
  return { id: form.id, occurredAt: form.occurredAt.text }
}

function labelsOf({ members: { metadata_json: metadata } }: IncomingEvent): string[] {
  const labels = (metadata as { readonly agent_labels?: unknown } | null | undefined)?.agent_labels
  return Array.isArray(labels) ? labels.filter((label) => typeof label === 'string') : []
}

async function recordMismatch(tx: Tx, form: StoredForm, stored: string, incoming: string): Promise<void> {
  await recordAlert(tx, {
    eventId: form.id,
    zoneId: form.zoneId,
    kind: 'content_mismatch_on_replay',
    detail: `stored=${stored} incoming=${incoming}`,
  })
}

function storedForm(event: IncomingEvent, json: CanonicalJson | null): StoredForm {
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
