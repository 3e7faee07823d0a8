/** `/ready` (gateway §18): the first reason in this order, two seconds for all of it. */
import type { Bus } from '../../platform/bus/port.ts'
import type { Ephemera } from '../../platform/ephemera/port.ts'
import type { HealthReport } from '../../platform/role.ts'
import type { AuditSink } from '../audit/index.ts'
import type { GatewaySts } from './gateway-sts.ts'
import type { Snapshot } from './revocations/snapshot.ts'

export interface ReadinessDeps {
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly snapshot: Snapshot
  readonly audit: AuditSink
  readonly sts: GatewaySts
  readonly draining: () => boolean
}

const budgetMs = 2000

export async function readiness(deps: ReadinessDeps): Promise<HealthReport> {
  if (deps.draining()) return { status: 503, body: { ok: false, draining: true } }
  const reason = await firstReason(deps)
  return reason === null
    ? { status: 200, body: { ok: true, ready: true } }
    : { status: 503, body: { ok: false, ready: false, reason } }
}

async function firstReason({ bus, ephemera, snapshot, audit, sts }: ReadinessDeps): Promise<string | null> {
  const expiry = AbortSignal.timeout(budgetMs)
  const redis: Promise<void>[] = []
  if (bus.driver === 'redis') redis.push(bus.ping())
  if (ephemera.driver === 'redis') redis.push(ephemera.ping())
  const redisAnswers = answered(Promise.all(redis), expiry)
  const stsAnswers = answered(sts.ping(), expiry)
  const evidence = await audit.readiness()
  if (!(await redisAnswers)) return 'redis_unreachable'
  if (!snapshot.fresh()) return 'revocation_snapshot_stale'
  if (evidence !== 'ok') return evidence
  return (await stsAnswers) ? null : 'sts_unreachable'
}

/** Whether a check resolves before the budget ends. */
function answered(check: Promise<unknown>, expiry: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    expiry.addEventListener('abort', () => resolve(false), { once: true })
    check.then(
      () => resolve(true),
      () => resolve(false),
    )
  })
}
