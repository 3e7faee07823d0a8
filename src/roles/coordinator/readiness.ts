/** `/ready` of the coordinator (coordinator §14): both stores are asked at once, Postgres is reported first. */

import { countDead } from '../../platform/outbox/rows.ts'
import type { HealthReport } from '../../platform/role.ts'
import { within } from '../../platform/within.ts'
import type { CoordinatorDeps } from './deps.ts'

const budgetMs = 5_000

export async function readiness(deps: Pick<CoordinatorDeps, 'db' | 'ephemera'>): Promise<HealthReport> {
  const [store, ephemera] = await Promise.allSettled([
    bounded(countDead(deps.db, 'coordinator')),
    deps.ephemera.driver === 'redis' ? bounded(deps.ephemera.ping()) : undefined,
  ])
  if (store.status === 'rejected') return notReady('postgres_unreachable', 'postgres')
  if (store.value > 0) return notReady('outbox_dead', 'outbox')
  if (ephemera.status === 'rejected') return notReady('redis_unreachable', 'redis')
  return { status: 200, body: { ok: true } }
}

const bounded = <T>(answer: Promise<T>): Promise<T> =>
  within(answer, budgetMs, (ms) => new Error(`no answer within ${ms} ms`))

function notReady(error: string, dependency: string): HealthReport {
  return { status: 503, body: { ok: false, error, dependency } }
}
