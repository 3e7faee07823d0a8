/**
 * The one read of an exchange (design §3): everything the decision needs that must
 * be fresh, for all requests of one event-loop turn, in one prepared statement.
 *
 * - `now` is the trusted clock of the exchange; liveness is judged against it.
 * - Definitions come with the version of their rows (`xmin` changes with every
 *   write) and with their content only when the caller's version differs.
 * - The lineage is followed leaf to root for at most 11 edges: one more than is
 *   ever valid, so that an overlong or circular chain shows itself.
 */
import { createCoalescer } from '../../../platform/bus/coalesce.ts'
import type { Database } from '../../../platform/db/port.ts'
import { assemble, gatherFacts } from './snapshot-assembly.ts'
import { readFacts } from './snapshot-facts.ts'

export interface SnapshotQuery {
  readonly zoneId: string
  readonly applicationId: string
  readonly applicationKnown: string | null
  /** Authority record the request presents. */
  readonly recordId: string | null
  readonly sessionId: string | null
  readonly edgeId: string | null
  readonly resources: readonly { readonly name: string; readonly known: string | null }[]
  readonly keyKnown: string | null
}

export interface RecordState {
  readonly id: string
  readonly session_type: 'user' | 'application'
  readonly subject_id: string | null
  readonly status: string
  /** Milliseconds since the epoch, as every time of a snapshot. */
  readonly expires_at: number
}

export interface SessionState {
  readonly id: string
  readonly application_id: string
  readonly status: string
  readonly lifecycle: 'task' | 'service'
  readonly labels: readonly string[]
  readonly ttl_seconds: number | null
  readonly started_at: number
  readonly heartbeat_deadline_at: number | null
  readonly parent_id: string | null
  readonly depth: number
  /** Its subject authority record. */
  readonly record: RecordState | null
}

export interface EdgeState {
  /** 1 for the leaf, counting towards the root. */
  readonly step: number
  readonly id: string
  readonly parent_edge_id: string | null
  readonly source_session_id: string
  readonly target_session_id: string
  readonly issuer_application_id: string
  readonly receiver_application_id: string
  readonly resource_id: string | null
  readonly scopes: readonly string[]
  readonly constraints_json: unknown
  readonly status: string
  readonly expires_at: number
  readonly revoked: boolean
  readonly edge_version: number
  /** Changes with every write of the row, the terms included, which no route changes. */
  readonly row_version: string
}

export interface ApplicationRow {
  readonly name: string
  readonly registration_method: 'managed' | 'dcr'
  readonly client_secret_hash: string | null
  readonly traits: readonly string[]
}

export interface ResourceRow {
  readonly id: string
  readonly identifier: string
  readonly upstream_url: string | null
  readonly scopes: readonly string[]
  readonly operations: unknown
  readonly operation_enforcement: 'enforced' | 'transport_uniform'
  readonly credential_provider_id: string | null
  readonly provider: {
    readonly id: string
    readonly provider_kind: string
    readonly config_json: Readonly<Record<string, unknown>>
    /** Hex of the CSS1 envelope. */
    readonly envelope: string | null
  } | null
}

export interface Snapshot {
  readonly now: number
  /** When the answer arrived, by the monotonic clock of this process. */
  readonly readAt: number
  /** `null`: no live application of that id in that (live) zone. */
  readonly application_version: string | null
  readonly application: ApplicationRow | null
  /** When the application ends by itself. */
  readonly application_expires_at: number | null
  readonly record: RecordState | null
  readonly sessions: readonly SessionState[]
  readonly lineage: readonly EdgeState[]
  readonly epoch: number
  /** Moves with every change of a definition of the zone. */
  readonly definitions: string | null
  /** `version` `null`: no such resource. */
  readonly resources: readonly {
    readonly name: string
    readonly version: string | null
    readonly definition: ResourceRow | null
  }[]
  readonly policy_set_id: string | null
  readonly policy_set_version_id: string | null
  /** The key that signs now; `null` before the first. */
  readonly kid: string | null
  /** Hex of the key's CSS1 envelope, only when `kid` differs from `keyKnown`. */
  readonly key_envelope: string | null
}

export type ReadSnapshot = (query: SnapshotQuery) => Promise<Snapshot>

/** Batches of one turn, at most two statements in flight. Rejects with the driver's error. */
export function createSnapshotReader(db: Pick<Database, 'hot'>): ReadSnapshot {
  const batches = createCoalescer<SnapshotQuery, Snapshot>({
    maxItems: 64,
    flush: async (queries) => {
      const facts = gatherFacts(await readFacts({ sql: db.hot }, queries))
      return queries.map((query) => assemble(query, facts))
    },
  })
  return (query) => batches.add(query)
}
