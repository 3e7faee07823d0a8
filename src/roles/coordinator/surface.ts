/**
 * The coordinator's HTTP surface: limits, the administrative record, authentication, and the one
 * way its operations are declared. Order: address limit → record → authentication → client
 * limit → body → operation. Unknown paths are told apart only after authentication.
 */
import type { Context, Hono } from 'hono'
import { adminAuditGate } from '../../platform/admin-audit/gate.ts'
import { authorizedBy } from '../../platform/http/authorized-by.ts'
import { coordinatorErrors } from '../../platform/http/error-style.ts'
import type { ErrorCode } from '../../platform/http/errors/registry.ts'
import {
  mountOperation,
  type Operation,
  type OperationEntry,
  type OperationInput,
  type OperationMethod,
} from '../../platform/http/operation.ts'
import { requestContext } from '../../platform/http/request-context.ts'
import { idPattern } from '../../platform/ids.ts'
import type { GenericSchema } from '../../platform/schema.ts'
import { admit, identify } from './authenticate.ts'
import type { Caller, Recorded } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { operatorMay } from './operator-routes.ts'
import { globalLimit, invocationLimit } from './rate-limits.ts'
import { refuseUnstorable } from './unstorable.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** Absent until the caller is authenticated; handlers only see one that was let in. */
    coordinatorCaller: Caller | undefined
  }
}

type Input<Q, B> = OperationInput<Q, B> & Recorded

type RouteDeclaration<
  Q extends GenericSchema | undefined = undefined,
  B extends GenericSchema | undefined = undefined,
> = Pick<Operation<Q, B>, 'path' | 'operationId' | 'summary' | 'query' | 'body' | 'responses' | 'errors'> & {
  /** The first is the one clients should use; the others do the same (coordinator §3). */
  readonly methods: readonly [OperationMethod, ...OperationMethod[]]
  readonly bodyOptional?: boolean
  readonly handle: (
    input: Input<
      Parameters<Operation<Q, B>['handle']>[0]['query'],
      Parameters<Operation<Q, B>['handle']>[0]['body']
    >,
  ) => Response | Promise<Response>
}

export type Declare = <
  Q extends GenericSchema | undefined = undefined,
  B extends GenericSchema | undefined = undefined,
>(
  route: RouteDeclaration<Q, B>,
) => void

const entities = {
  collections: new Set(['agents', 'agent-services', 'delegations', 'invocations', 'applications', 'outbox']),
  pseudoIds: new Set(['active', 'inbound', 'outbound']),
}

const everywhere: readonly ErrorCode[] = [
  'missing_token',
  'invalid_token',
  'identity_revoked',
  'missing_scope',
  'zone_mismatch',
  'invalid_params',
  'rate_limited',
  'internal_error',
]
const mutating: ReadonlySet<OperationMethod> = new Set(['POST', 'PATCH', 'DELETE'])

/** Everything before the address limit answers without it: `/health` and what the operator scrapes. */
export function mountGlobalLimit(app: Hono, context: CoordinatorContext): void {
  app.use(globalLimit(context))
}

/** From here on every path needs a credential, and what its bearer does is recorded. */
export function mountAuthentication(app: Hono, context: CoordinatorContext): void {
  app.use(
    adminAuditGate({
      audit: context.adminAudit,
      errorStyle: coordinatorErrors,
      rules: entities,
      zoneOf: zoneInPath,
      actorOf: (c) => {
        const caller = c.get('coordinatorCaller')
        if (caller === undefined) return null
        const name = (caller.operator ? authorizedBy(c) : null) ?? caller.clientId
        return { id: caller.subject, name, scope: [...caller.scopes].join(' ') }
      },
    }),
  )
  app.use(async (c, next) => {
    const zoneId = zoneInPath(c)
    const destination = {
      zoneId: zoneId !== null && idPattern.test(zoneId) ? zoneId : null,
      operatorAllowed: operatorMay(c.req.method, c.req.path),
    }
    const caller = await identify(context, c.req.header('authorization'), destination)
    c.set('coordinatorCaller', caller)
    requestContext(c).notes.zone_id = caller.zoneId
    await admit(context, caller, destination)
    await next()
  })
  app.use(invocationLimit(context))
  app.use(async (c, next) => {
    await refuseUnstorable(c)
    await next()
  })
}

function zoneInPath(c: Context): string | null {
  const segment = /^\/zones\/([^/]+)/.exec(c.req.path)?.[1]
  if (segment === undefined) return null
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Declares operations on `app` and collects what the document says of them. */
export function declareOn(app: Hono, entries: OperationEntry[]): Declare {
  return (route) => {
    const { methods, handle, errors, ...rest } = route
    for (const [index, method] of methods.entries()) {
      const operation = {
        ...rest,
        method,
        operationId: index === 0 ? rest.operationId : `${rest.operationId}By${titled(method)}`,
        tag: tagOf(rest.path),
        security: operatorMay(method, rest.path) ? ['mandate', 'operator'] : ['mandate'],
        errors: [
          ...new Set<ErrorCode>([
            ...everywhere,
            ...(rest.body === undefined ? [] : (['invalid_body', 'payload_too_large'] as const)),
            ...(rest.query === undefined ? [] : (['invalid_query'] as const)),
            ...(mutating.has(method) ? (['audit_unavailable'] as const) : []),
            ...errors,
          ]),
        ],
        handle: (input: Parameters<typeof handle>[0]) => {
          const caller = input.c.get('coordinatorCaller')
          const record = input.c.get('adminRecord')
          if (caller === undefined || record === undefined)
            throw new Error(`${route.path} was reached without a caller`)
          return handle({ ...input, caller, record, requestId: requestContext(input.c).requestId })
        },
      }
      entries.push(mountOperation(app, operation as unknown as Operation))
    }
  }
}

const titled = (method: OperationMethod): string => method.charAt(0) + method.slice(1).toLowerCase()

const tagOf = (path: string): string => path.split('/')[3] ?? 'operations'
