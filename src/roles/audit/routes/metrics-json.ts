/** `GET /metrics.json`: the audit metrics under their v1 keys (storage-and-operations §13). */
import type { Hono } from 'hono'
import type { Registry } from 'prom-client'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { metricsAllowed, type Operations } from '../../../platform/http/operations.ts'
import { metricValues } from '../../../platform/observe/metrics.ts'

const prefix = 'caracal_audit_'

const renamed: Readonly<Record<string, string>> = {
  export_duration_seconds: 'export_duration_ms',
  consumer_pel_oldest_seconds: 'consumer_pel_oldest_secs',
  dlq_oldest_age_seconds: 'dlq_oldest_age_secs',
  tamper_chain_breaks_total: 'tamper_chain_breaks',
  tamper_hmac_failures_total: 'tamper_hmac_failures',
  export_lease_transitions_total: 'export_lease_changes_total',
  retention_lease_transitions_total: 'retention_lease_changes_total',
}

const flags: ReadonlySet<string> = new Set(['is_export_leader', 'is_retention_leader'])

export function mountMetricsJson(
  app: Hono,
  metrics: Registry,
  access: Pick<Operations, 'mode' | 'metricsBearer'>,
): void {
  app.get('/metrics.json', async (c) => {
    if (!metricsAllowed(c, access)) throw errorOf('unauthorized')
    const body: Record<string, number | boolean> = {}
    for (const [full, value] of Object.entries(await metricValues(metrics))) {
      if (!full.startsWith(prefix)) continue
      const name = full.slice(prefix.length)
      if (flags.has(name)) body[name] = value === 1
      else body[renamed[name] ?? name] = name === 'export_duration_seconds' ? value * 1000 : value
    }
    return c.json(body)
  })
}
