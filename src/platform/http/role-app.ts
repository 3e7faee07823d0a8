/**
 * The Hono app every role starts from. One combined middleware does what each request
 * needs (id, trace, client address, size limit, headers, access log); headers
 * are set before `next()` because setting them afterwards rebuilds the response.
 */
import { type Context, Hono } from 'hono'
import type { Registry } from 'prom-client'
import type { CaracalError } from '../errors.ts'
import type { Role } from '../role.ts'
import { limitBody } from './body.ts'
import { challengeTo } from './challenge.ts'
import { type DirectEndpoint, serveDirectly } from './direct.ts'
import type { ErrorStyle } from './error-style.ts'
import { errorOf } from './errors/registry.ts'
import { headerOf, incomingOf } from './incoming.ts'
import { createAllowedMethods } from './method-not-allowed.ts'
import { mountOperations, type Operations } from './operations.ts'
import { errorAnswer, renderError, toCaracalError } from './render-error.ts'
import { createReception, type VisitRules } from './visit.ts'

export interface RoleAppOptions extends VisitRules {
  readonly metrics: Registry
  readonly errorStyle: ErrorStyle
  /** A surface inside the role with its own style, chosen by path. */
  readonly errorStyleFor?: (path: string) => ErrorStyle | null
  /** Turns errors of lower layers (store unreachable …) into the role's public errors. */
  readonly mapError?: (error: unknown) => CaracalError | null
  /** Named by each 401 that does not say itself what it asks for; absent where that is no bearer token. */
  readonly realm?: string
  readonly bodyLimitBytes: number
  /** A path's own limit; `null` = the handler enforces it (`readBody`), absent = the role's. */
  readonly bodyLimitFor?: (path: string) => number | null | undefined
  /** Looks at every request before any route does, those of operators included; what it throws is the answer. */
  readonly before?: (c: Context) => void
  /** Answer 405 with `Allow` for a known path with another verb. */
  readonly methodNotAllowed?: boolean
  readonly operations: Operations
}

export interface RoleApp {
  readonly app: Hono
  /** From now on `/ready` answers draining and connections are not kept alive. */
  drain(): void
  isDraining(): boolean
  /** Serves an endpoint past the app, with the same context, errors and access log; the app needs its route all the same. */
  direct(endpoint: DirectEndpoint): NonNullable<Role['intercept']>
}

/** The app with context, errors, health, readiness and metrics in place; the role adds its routes. */
export function createRoleApp(options: RoleAppOptions): RoleApp {
  const app = new Hono()
  let draining = false

  const receive = createReception(options, () => draining)

  app.use(async (c, next) => {
    const { method, path } = c.req
    const visit = receive({
      method,
      path,
      requestId: headerOf(c, 'x-request-id'),
      traceparent: headerOf(c, 'traceparent'),
      incoming: incomingOf(c),
    })
    c.set('requestContext', visit.context)
    for (const name in visit.headers) c.header(name, visit.headers[name])
    await next()
    visit.end(c.res.status)
  })

  // After the context, so that a refusal is logged and answered like any other request.
  app.use((c, next) => {
    options.before?.(c)
    const own = options.bodyLimitFor?.(c.req.path)
    if (own !== null) limitBody(c, own ?? options.bodyLimitBytes)
    return next()
  })

  const styleOf = (path: string): ErrorStyle => options.errorStyleFor?.(path) ?? options.errorStyle

  const asError = (thrown: unknown): CaracalError => options.mapError?.(thrown) ?? toCaracalError(thrown)

  app.onError((thrown, c) => {
    const error = asError(thrown)
    if (error.status === 401 && options.realm !== undefined)
      c.header('www-authenticate', challengeTo(headerOf(c, 'authorization'), options.realm))
    return renderError(c, error, styleOf(c.req.path))
  })

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
    direct: (endpoint) =>
      serveDirectly(
        {
          log: options.log,
          receive,
          asError,
          render: (context, error, path) => errorAnswer(context, error, styleOf(path)),
        },
        endpoint,
      ),
  }
}
