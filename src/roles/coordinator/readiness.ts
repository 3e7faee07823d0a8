/** `/ready` of the coordinator (coordinator §14): both stores are asked at once, Postgres is reported first. */
import type { HealthReport } from '../../platform/role.ts'
import type { CoordinatorDeps } from './deps.ts'

const budgetMs = 5_000

export async function readiness(deps: Pick<CoordinatorDeps, 'db' | 'ephemera'>): Promise<HealthReport> {
  const [store, ephemera] = await Promise.allSettled([deadOutboxRows(deps), deps.ephemera.ping()])
  if (store.status === 'rejected') return notReady('postgres_unreachable', 'postgres')
  if (store.value > 0) return notReady('outbox_dead', 'outbox')
  if (ephemera.status === 'rejected' && deps.ephemera.driver === 'redis')
    return notReady('redis_unreachable', 'redis')
  return { status: 200, body: { ok: true } }
}

async function deadOutboxRows({ db }: Pick<CoordinatorDeps, 'db'>): Promise<number> {
  await db.ping(budgetMs)
  const [row] = await db.sql<{ dead: number }[]>`
    select count(*)::int as dead
    from caracal_outbox
    where producer = 'coordinator'
      and status = 'dead'`
  return row?.dead ?? 0
}

function notReady(error: string, dependency: string): HealthReport {
  return { status: 503, body: { ok: false, error, dependency } }
}
