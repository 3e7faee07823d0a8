/** Ten probes per zone, class and minute (control-api §7.7): a probe dials out, so it must not be a tool against others. */
import { type ErrorCode, errorOf } from '../../platform/http/errors/registry.ts'
import type { Control } from './control.ts'
import { retryAfter } from './retry-after.ts'

const budgets = {
  providertest: 'provider_test_rate_limited',
  providerdiscovery: 'provider_discovery_rate_limited',
  resourcetest: 'resource_test_rate_limited',
} as const satisfies Readonly<Record<string, ErrorCode>>

const PER_MINUTE = 10
const MINUTE_MS = 60_000

/** Spends one probe. Throws 429 over the budget, and when the counters cannot be reached. */
export async function spendProbe(
  control: Control,
  kind: keyof typeof budgets,
  zoneId: string,
): Promise<void> {
  const refused = (remainingMs: number) => errorOf(budgets[kind], { headers: retryAfter(remainingMs) })
  try {
    const { count, remainingMs } = await control.ephemera.increment(`rl:${kind}:${zoneId}`, MINUTE_MS)
    if (count > PER_MINUTE) throw refused(remainingMs)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === budgets[kind]) throw error
    control.log.warn({ err: error }, 'probe_budget_unavailable')
    throw refused(MINUTE_MS)
  }
}
