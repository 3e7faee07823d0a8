/** `/health`, `/ready` and `/metrics`, the same on every role (storage-and-operations §12–§13). */
import type { Context, Hono, MiddlewareHandler } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Registry } from 'prom-client'
import type { CaracalError } from '../errors.ts'
import type { HealthReport } from '../role.ts'
import { hasStaticBearer } from './bearer.ts'
import { errorOf } from './errors/registry.ts'

export interface Operations {
  readonly mode: 'dev' | 'rc' | 'stable'
  /** `METRICS_BEARER` */
  readonly metricsBearer: string | null
  /** A further token `/metrics` accepts (the coordinator's operator token). */
  readonly metricsOperatorToken?: string | null
  /** What `/metrics` answers who may not read it; `unauthorized` unless given. */
  readonly metricsRefusal?: () => CaracalError
  readonly health: () => HealthReport | Promise<HealthReport>
  readonly ready: () => HealthReport | Promise<HealthReport>
  /** Runs before `/ready`; must not turn a lost counter store into an error of its own. */
  readonly readyLimit?: MiddlewareHandler
}

/** True when the caller may read metrics: one of the tokens, or dev mode without `METRICS_BEARER`. */
export function metricsAllowed(
  c: Context,
  operations: Pick<Operations, 'mode' | 'metricsBearer' | 'metricsOperatorToken'>,
): boolean {
  if (!operations.metricsBearer && operations.mode === 'dev') return true
  return hasStaticBearer(c, operations.metricsBearer, operations.metricsOperatorToken ?? null)
}

function report(c: Context, { status, body }: HealthReport): Response {
  return body === null
    ? c.body(null, status as ContentfulStatusCode)
    : c.json(body, status as ContentfulStatusCode)
}

/** Registers the three routes. */
export function mountOperations(
  app: Hono,
  operations: Operations,
  metrics: Registry,
  isDraining: () => boolean,
): void {
  const unlimited: MiddlewareHandler = (_c, next) => next()

  app.get('/health', async (c) => report(c, await operations.health()))

  app.get('/ready', operations.readyLimit ?? unlimited, async (c) => {
    if (isDraining()) return report(c, { status: 503, body: { ok: false, draining: true } })
    return report(c, await operations.ready())
  })

  app.get('/metrics', async (c) => {
    if (!metricsAllowed(c, operations)) throw operations.metricsRefusal?.() ?? errorOf('unauthorized')
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    return c.body(await metrics.metrics())
  })
}
