/** Whether control should get traffic (control-api §2.8): each dependency in turn, five seconds at most for each. */

import type { HealthReport } from '../../platform/role.ts'
import { within } from '../../platform/within.ts'
import type { Control } from './control.ts'
import { outboxBacklog } from './store/outbox-status.ts'

const TIMEOUT_MS = 5000

function unready(error: string, dependency: string): HealthReport {
  return { status: 503, body: { ok: false, error, dependency } }
}

const noAnswer = (ms: number): Error => new Error(`no answer within ${ms} ms`)

/** Answers the report of `/ready`; never rejects. */
export function createReadiness(control: Control): () => Promise<HealthReport> {
  const fails = async (check: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await within(work(), TIMEOUT_MS, noAnswer)
      return false
    } catch (error) {
      control.log.warn({ err: error, check }, 'not_ready')
      return true
    }
  }
  return async () => {
    if (await fails('postgres', () => control.db.ping(TIMEOUT_MS)))
      return unready('postgres_unreachable', 'postgres')
    if (control.bus.driver === 'redis' && (await fails('bus', () => control.bus.ping()))) {
      return unready('redis_unreachable', 'redis')
    }
    if (control.ephemera.driver === 'redis' && (await fails('ephemera', () => control.ephemera.ping()))) {
      return unready('redis_unreachable', 'redis')
    }
    let dead = 0
    const unreadable = await fails('outbox', async () => {
      dead = (await outboxBacklog(control.db)).dead
    })
    if (unreadable) return unready('outbox_unreachable', 'postgres')
    const limit = control.settings.API_READY_OUTBOX_DEAD_MAX
    if (dead > limit) {
      return { status: 503, body: { ok: false, error: 'outbox_dead_messages', deadCount: dead, limit } }
    }
    return { status: 200, body: { ok: true } }
  }
}
