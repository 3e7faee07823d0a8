/**
 * The Hono app every role starts from. One combined middleware does what each request
 * needs (id, trace, client address, size limit, headers, access log); headers
 * are set before `next()` because setting them afterwards rebuilds the response.
 */
import { type Context, Hono } from 'hono'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { CaracalError } from '../errors.ts'
import { uuidv4 } from '../ids.ts'
import { parseTraceparent, type TraceContext } from '../observe/trace.ts'
import type { Span, Tracer } from '../observe/tracer.ts'
import type { RoleName } from '../role.ts'
import { limitBody } from './body.ts'
import { clientIpOf } from './client-ip.ts'
import type { ErrorStyle } from './error-style.ts'
import { errorOf } from './errors/registry.ts'
import { headerOf, incomingOf } from './incoming.ts'
import { createAllowedMethods } from './method-not-allowed.ts'
import { mountOperations, type Operations } from './operations.ts'
import { renderError, toCaracalError } from './render-error.ts'
import {
  correlation,
  createRequestContext,
  isRequestId,
  type RequestContext,
  type RequestIdRule,
} from './request-context.ts'

export interface RoleAppOptions {
  readonly role: RoleName
  /** The role's child logger. */
  readonly log: Logger
  readonly metrics: Registry
  /** A span for each request but the operator's own. */
  readonly tracer?: Tracer | null | undefined
  readonly errorStyle: ErrorStyle
  /** A surface inside the role with its own style, chosen by path. */
  readonly errorStyleFor?: (path: string) => ErrorStyle | null
  /** Turns errors of lower layers (store unreachable …) into the role's public errors. */
  readonly mapError?: (error: unknown) => CaracalError | null
  /** `visible` on gateway and sts, `token` elsewhere. */
  readonly requestIdRule: RequestIdRule
  /** `TRUST_PROXY` */
  readonly trustProxy: boolean
  readonly bodyLimitBytes: number
  /** A path's own limit; `null` = the handler enforces it (`readBody`), absent = the role's. */
  readonly bodyLimitFor?: (path: string) => number | null | undefined
  /** Paths under this prefix answer with nosniff, no-referrer and no-store. */
  readonly privatePrefix?: string
  /** Answer 405 with `Allow` for a known path with another verb. */
  readonly methodNotAllowed?: boolean
  readonly operations: Operations
}

export interface RoleApp {
  readonly app: Hono
  /** From now on `/ready` answers draining and connections are not kept alive. */
  drain(): void
  isDraining(): boolean
}

const quietPaths: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

function beginSpan(tracer: Tracer, c: Context, parent: TraceContext | null): Span {
  const { method, path } = c.req
  return tracer.start(`${method} ${path}`, {
    kind: 'server',
    parent,
    attributes: { 'http.request.method': method, 'url.path': path },
  })
}

function endSpan(span: Span, { requestId, notes }: RequestContext, status: number): void {
  span.set('http.response.status_code', status)
  span.set('caracal.request_id', requestId)
  for (const name in notes) span.set(`caracal.${name}`, notes[name] as string | number | boolean)
  span.end(status >= 500 ? `HTTP ${status}` : undefined)
}

/** The app with context, errors, health, readiness and metrics in place; the role adds its routes. */
export function createRoleApp(options: RoleAppOptions): RoleApp {
  const app = new Hono()
  const { log, tracer } = options
  let draining = false

  app.use(async (c, next) => {
    const startedAt = performance.now()
    const incoming = incomingOf(c)
    const inbound = headerOf(c, 'x-request-id')
    const requestId = isRequestId(inbound, options.requestIdRule) ? inbound : uuidv4()
    const presented = parseTraceparent(headerOf(c, 'traceparent'))
    const { path } = c.req
    const span = tracer && !quietPaths.has(path) ? beginSpan(tracer, c, presented) : null
    const trace = span === null ? presented : span.trace
    const clientIp = clientIpOf(incoming, options.trustProxy)
    const context = createRequestContext({ requestId, trace, clientIp, log })
    c.set('requestContext', context)
    c.header('x-request-id', requestId)
    if (options.privatePrefix !== undefined && path.startsWith(options.privatePrefix)) {
      c.header('x-content-type-options', 'nosniff')
      c.header('referrer-policy', 'no-referrer')
      c.header('cache-control', 'no-store')
    }
    if (draining) c.header('connection', 'close')
    await next()
    if (span !== null) endSpan(span, context, c.res.status)
    const level = quietPaths.has(path) ? 'debug' : 'info'
    if (log.isLevelEnabled(level)) {
      log[level](
        {
          ...correlation(context),
          ...context.notes,
          method: c.req.method,
          path,
          ip: clientIp,
          status: c.res.status,
          duration_ms: Math.round((performance.now() - startedAt) * 100) / 100,
        },
        'request',
      )
    }
  })

  // After the context, so that a refused body is logged and answered like any other request.
  app.use((c, next) => {
    const own = options.bodyLimitFor?.(c.req.path)
    if (own !== null) limitBody(c, own ?? options.bodyLimitBytes)
    return next()
  })

  const styleOf = (path: string): ErrorStyle => options.errorStyleFor?.(path) ?? options.errorStyle

  app.onError((thrown, c) =>
    renderError(c, options.mapError?.(thrown) ?? toCaracalError(thrown), styleOf(c.req.path)),
  )

  const allowedMethods = options.methodNotAllowed ? createAllowedMethods(app) : null
  app.notFound((c) => {
    const allowed = allowedMethods?.(c.req.path) ?? []
    const error =
      allowed.length > 0
        ? errorOf('method_not_allowed', { headers: { allow: allowed.join(', ') } })
        : errorOf('not_found')
    return renderError(c, error, styleOf(c.req.path))
  })

  mountOperations(app, options.operations, options.metrics, () => draining)

  return {
    app,
    drain: () => {
      draining = true
    },
    isDraining: () => draining,
  }
}
