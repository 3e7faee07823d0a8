/** `/ready` of this role: the first thing that would make it refuse (sts §13.3). */
import type { HealthReport } from '../../platform/role.ts'

export interface ReadinessDeps {
  readonly pingStore: () => Promise<void>
  /** `null` with the Postgres drivers: there is nothing but the store to reach. */
  readonly pingRedis: (() => Promise<void>) | null
  readonly evidence: () => Promise<'ok' | 'audit_evidence_lost' | 'audit_replay_unavailable'>
  readonly consumersReady: () => boolean
}

export async function readiness(deps: ReadinessDeps): Promise<HealthReport> {
  if (!(await answers(deps.pingStore))) return notReady('postgres_unreachable')
  if (deps.pingRedis !== null && !(await answers(deps.pingRedis))) return notReady('redis_unreachable')
  const evidence = await deps.evidence()
  if (evidence !== 'ok') return notReady(evidence)
  if (!deps.consumersReady()) return notReady('stream_consumers_not_ready')
  return { status: 200, body: { ok: true, ready: true } }
}

async function answers(ping: () => Promise<void>): Promise<boolean> {
  return ping().then(
    () => true,
    () => false,
  )
}

function notReady(reason: string): HealthReport {
  return { status: 503, body: { ok: false, ready: false, reason } }
}
