import type { Database } from '../../../platform/db/port.ts'
import type { StoredForm } from '../canonical.ts'
import type { ChainHead } from './chain.ts'

/** A chain row read back in the form it was hashed in. */
export interface StoredLink {
  readonly form: StoredForm
  readonly contentSha256: string
  readonly prevContentSha256: string | null
  readonly chainHmac: string | null
  readonly chainKeyId: string | null
  readonly chainSeq: number
}

interface LinkRow {
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
  readonly micros: string
  readonly content_sha256: string
  readonly prev_content_sha256: string | null
  readonly chain_hmac: string | null
  readonly chain_key_id: string | null
  readonly chain_seq: string
}

/**
 * Streams a zone's links in ascending order through one repeatable-read snapshot, so that the
 * head belongs to the rows. Uses the index (zone_id, chain_seq desc); memory stays flat.
 */
export async function walkChain(
  db: Database,
  zoneId: string,
  fromSeq: number,
  visit: (link: StoredLink) => void,
): Promise<ChainHead | null> {
  return db.transaction(async (tx) => {
    await tx.sql`set transaction isolation level repeatable read, read only`
    const [row] = await tx.sql<{ chain_seq: string; content_sha256: string }[]>`
      select chain_seq::text, content_sha256
      from audit_chain_heads
      where zone_id = ${zoneId}`
    const rows = tx.sql<LinkRow[]>`
      select
        id, zone_id, event_type, coalesce(request_id, '') as request_id, coalesce(decision, '') as decision,
        coalesce(policy_set_id, '') as policy_set_id,
        coalesce(policy_set_version_id, '') as policy_set_version_id,
        coalesce(manifest_sha, '') as manifest_sha, coalesce(evaluation_status, '') as evaluation_status,
        determining_policies_json::text as determining_policies, diagnostics_json::text as diagnostics,
        metadata_json::text as metadata, (extract(epoch from occurred_at) * 1000000)::bigint::text as micros,
        content_sha256, prev_content_sha256, chain_hmac, chain_key_id, chain_seq::text
      from audit_events
      where zone_id = ${zoneId}
        and chain_seq >= ${fromSeq}
      order by audit_events.chain_seq`
    for await (const page of rows.cursor(1_000)) for (const link of page) visit(storedLink(link))
    return row === undefined ? null : { chainSeq: Number(row.chain_seq), contentSha256: row.content_sha256 }
  })
}

function storedLink(row: LinkRow): StoredLink {
  return {
    form: {
      id: row.id,
      zoneId: row.zone_id,
      eventType: row.event_type,
      requestId: row.request_id,
      decision: row.decision,
      policySetId: row.policy_set_id,
      policySetVersionId: row.policy_set_version_id,
      manifestSha: row.manifest_sha,
      evaluationStatus: row.evaluation_status,
      determiningPolicies: row.determining_policies,
      diagnostics: row.diagnostics,
      metadata: row.metadata,
      occurredAt: { micros: BigInt(row.micros), text: '' },
    },
    contentSha256: row.content_sha256,
    prevContentSha256: row.prev_content_sha256,
    chainHmac: row.chain_hmac,
    chainKeyId: row.chain_key_id,
    chainSeq: Number(row.chain_seq),
  }
}
