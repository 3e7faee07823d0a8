/** The five paths that belong to the operator (gateway §2); every other path is proxied. */

import { Hono } from 'hono'
import type { Registry } from 'prom-client'
import { secretEquals } from '../../platform/crypto/hmac.ts'
import { pathOf } from '../../platform/http/incoming.ts'
import type { Platform } from '../../platform/platform.ts'
import { within } from '../../platform/within.ts'
import { metricsJson, metricsText } from './metrics.ts'
import { type ReadinessDeps, readiness } from './readiness.ts'
import { requestIdOf } from './request-id.ts'
import type { RevocationSet } from './revocations/set.ts'
import type { Snapshot } from './revocations/snapshot.ts'
import type { GatewaySettings } from './settings.ts'

export interface RouteDeps extends ReadinessDeps {
  readonly settings: Pick<GatewaySettings, 'CARACAL_MODE' | 'METRICS_BEARER' | 'CARACAL_ADMIN_TOKEN'>
  readonly registry: Registry
  readonly revocations: RevocationSet
  readonly snapshot: Snapshot
  readonly log: Platform['log']
}

const reloadPath = '/internal/revocations/reload'
const reloadBudgetMs = 5000
const reloadTimedOut = (): Error => new Error('revocation reload took too long')
const anyMethodPaths = new Set(['/health', '/ready', '/metrics', '/metrics.json'])

/** True for exactly the operator's paths; the reload path only with POST. */
export function isOperatorPath(method: string | undefined, target: string | undefined): boolean {
  const path = pathOf(target ?? '')
  return anyMethodPaths.has(path) || (path === reloadPath && method === 'POST')
}

export function createRoutes(deps: RouteDeps): Hono {
  const { settings, registry } = deps
  const app = new Hono()
  app.use(async (c, next) => {
    c.header('X-Request-Id', requestIdOf(c.req.header('x-request-id')))
    await next()
  })
  const bearerMatches = (authorization: string | undefined, secret: string): boolean =>
    secretEquals(authorization ?? '', `Bearer ${secret}`)
  const mayReadMetrics = (authorization: string | undefined): boolean =>
    settings.METRICS_BEARER === null
      ? settings.CARACAL_MODE === 'dev'
      : bearerMatches(authorization, settings.METRICS_BEARER)

  app.all('/health', (c) => c.body(null, 200))
  app.all('/ready', async (c) => {
    const report = await readiness(deps)
    return c.json(report.body, report.status)
  })
  app.all('/metrics', async (c) => {
    if (!mayReadMetrics(c.req.header('authorization'))) return c.text('unauthorized', 401)
    return c.body(await metricsText(registry), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    })
  })
  app.all('/metrics.json', async (c) => {
    if (!mayReadMetrics(c.req.header('authorization'))) return c.text('unauthorized', 401)
    return c.json(await metricsJson(registry))
  })
  app.post(reloadPath, async (c) => {
    const token = settings.CARACAL_ADMIN_TOKEN
    if (token === null || !bearerMatches(c.req.header('authorization'), token))
      return c.text('not found', 404)
    try {
      await within(deps.snapshot.load(), reloadBudgetMs, reloadTimedOut)
      return c.json({ ok: true, revocations: deps.revocations.size })
    } catch (error) {
      deps.log.warn({ err: error }, 'revocation_reload_failed')
      return c.json({ ok: false, ready: false, reason: 'revocation_reload_failed' }, 503)
    }
  })
  return app
}
