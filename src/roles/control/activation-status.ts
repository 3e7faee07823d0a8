/**
 * How far an activation has come: bound in Postgres, published by the outbox, loaded
 * by the STS (control-api §7.12, audit-and-events §10.4). Callers poll until `loaded` or `failed`.
 */
import { type Control, reading } from './control.ts'
import { notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { findActivationRow, findOutboxRow, type OutboxRow } from './store/outbox-status.ts'
import { findPolicySet, findPolicySetVersion } from './store/policy-sets.ts'

export type PropagationStatus =
  | 'waiting_for_activation'
  | 'waiting_for_outbox'
  | 'waiting_for_sts'
  | 'loaded'
  | 'failed'

export interface OutboxState {
  readonly id: string | null
  readonly state: 'dispatched' | 'pending' | 'dead' | 'missing' | 'mismatch'
  readonly attempts: number
  readonly last_error: string | null
  readonly dispatched_at: Date | null
}

export interface StsState {
  readonly state: 'loaded' | 'not_loaded' | 'not_configured' | 'unreachable' | 'failed'
  readonly loaded?: boolean
  readonly zone_id?: string
  readonly policy_set_version_id?: string
  readonly manifest_sha256?: string
  readonly loaded_at?: string
  readonly age_seconds?: number
  readonly detail?: string
}

const stateOfRow = { published: 'dispatched', pending: 'pending', dead: 'dead' } as const

function outboxState(
  row: OutboxRow | null,
  wantedId: string | undefined,
  zoneId: string,
  versionId: string,
): OutboxState {
  if (row === null) {
    return { id: wantedId ?? null, state: 'missing', attempts: 0, last_error: null, dispatched_at: null }
  }
  const matches =
    row.topic === 'caracal.policy.invalidate' &&
    row.payload_json.zone_id === zoneId &&
    row.payload_json.policy_set_version_id === versionId
  return {
    id: row.id,
    state: matches ? stateOfRow[row.status] : 'mismatch',
    attempts: row.attempts,
    last_error: row.last_error,
    dispatched_at: row.published_at,
  }
}

async function stsState(control: Control, zoneId: string, versionId: string): Promise<StsState> {
  if (control.sts === null) return { state: 'not_configured' }
  try {
    const status = await control.sts.policyStatus(zoneId)
    const current = status.loaded && status.policy_set_version_id === versionId
    return { state: current ? 'loaded' : 'not_loaded', ...status }
  } catch (error) {
    control.log.warn({ err: error, zone_id: zoneId }, 'policy_status_unavailable')
    return { state: 'unreachable', detail: 'the policy status of the STS cannot be read' }
  }
}

/** The one word callers wait on, from the three facts. */
export function propagationOf(active: boolean, outbox: OutboxState, sts: StsState): PropagationStatus {
  if (!active) return 'waiting_for_activation'
  if (outbox.state === 'dead' || outbox.state === 'mismatch') return 'failed'
  if (outbox.state !== 'dispatched') return 'waiting_for_outbox'
  if (sts.state === 'loaded') return 'loaded'
  return sts.state === 'failed' ? 'failed' : 'waiting_for_sts'
}

/** Throws 404 `policy_set_binding_not_found`, `active_policy_set_version_not_found`. */
export async function activationStatus(
  control: Control,
  call: Call<unknown, unknown>,
  wanted: { readonly version_id?: string | undefined; readonly outbox_id?: string | undefined },
) {
  const facts = await reading(control, call, async (db) => {
    const set = await findPolicySet(db, call.zoneId, call.id)
    if (set === null) throw notFound('policy_set_binding_not_found')
    const versionId = wanted.version_id ?? set.active_version_id
    if (versionId === null) throw notFound('active_policy_set_version_not_found')
    const version = await findPolicySetVersion(db, call.zoneId, call.id, versionId)
    if (version === null) throw notFound('active_policy_set_version_not_found')
    const row =
      wanted.outbox_id === undefined
        ? await findActivationRow(db, call.zoneId, versionId)
        : await findOutboxRow(db, wanted.outbox_id)
    return { set, version, row }
  })
  const { set, version } = facts
  const active = set.active_version_id === version.id
  const sts = await stsState(control, call.zoneId, version.id)
  const read = outboxState(facts.row, wanted.outbox_id, call.zoneId, version.id)
  // Published rows are deleted after a while; a version the STS has loaded was certainly dispatched.
  const outbox: OutboxState =
    read.state === 'missing' && active && sts.state === 'loaded' ? { ...read, state: 'dispatched' } : read
  return {
    zone_id: call.zoneId,
    policy_set_id: call.id,
    version_id: version.id,
    active,
    active_version_id: set.active_version_id,
    manifest_sha256: version.manifest_sha256,
    propagation_status: propagationOf(active, outbox, sts),
    outbox,
    sts,
  }
}
