/**
 * A management operation, declared once. The declaration registers the handler,
 * decides the permission, parses the input, classifies the audit record and
 * becomes the OpenAPI entry; Control invoke runs the same declaration in process.
 * Nothing about an operation is said in a second place.
 */

import type { CaracalError } from '../../platform/errors.ts'
import type { ErrorCode } from '../../platform/http/errors/registry.ts'
import type { GenericSchema, InferOutput } from '../../platform/schema.ts'
import type { Control, Scope } from './control.ts'
import type { Submission } from './perform.ts'
import type { Capability, Principal } from './principal.ts'
import type { Permission } from './rbac/rules.ts'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Priority = 'P0' | 'P1' | 'P2'

export interface Call<Q, B> {
  readonly principal: Principal
  readonly requestId: string
  /** The `{zoneId}` of the path, empty on deployment-wide routes. */
  readonly zoneId: string
  /** The `{id}` of the path, empty without one. */
  readonly id: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Q
  readonly body: B
  /** Attribution columns of a write (control-api §3.7). */
  readonly attribution: Attribution
  /** Row-level security of this call's statements. */
  readonly scope: Scope
  readonly signal: AbortSignal
  readonly clientIp: string
  readonly accept: string
}

export interface Attribution {
  readonly by: string
  readonly viaOperator: boolean
}

export interface Reply {
  readonly status: number
  /** Absent = no body. A string with a `contentType` is sent as it is. */
  readonly body?: unknown
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** How the bearer of an operation is found; `public` operations prove themselves another way. */
type Access = Capability | 'public'

interface Declaration {
  readonly method: Method
  /** OpenAPI form: `/v1/zones/{zoneId}/applications/{id}`. */
  readonly path: string
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly access: Access
  /** `null` only where the operation needs no permission beyond a valid credential, or is public. */
  readonly permission: Permission | null
  readonly priority: Priority
  /** Code of a 400 for a malformed path id; `invalid_params` unless told otherwise. */
  readonly invalidId?: ErrorCode
  /** Code of a 400 for query or body that does not parse. */
  readonly invalid?: ErrorCode
  /** Creation under a zone answers 404 `zone_not_found` before it looks at the body (control-api §7). */
  readonly needsLiveZone?: boolean
  /** A missing body counts as `{}`. */
  readonly bodyOptional?: boolean
  /** Documented answers by status; `null` = no body. */
  readonly responses: Readonly<Record<number, GenericSchema | null>>
  /** Error codes beyond those every operation may answer. */
  readonly errors: readonly ErrorCode[]
  /** Also answers `text/csv`. */
  readonly csv?: boolean
  /** Answers a refusal of this operation, also of what does not parse; `null` leaves it to the common form. */
  readonly refused?: (error: CaracalError, submission: Submission, control: Control) => Reply | null
}

export interface RouteSpec<Q extends GenericSchema | undefined, B extends GenericSchema | undefined>
  extends Declaration {
  readonly query?: Q
  readonly body?: B
  readonly handle: (control: Control, call: Call<Output<Q>, Output<B>>) => Promise<Reply>
}

type Output<S> = S extends GenericSchema ? InferOutput<S> : undefined

/** A route with its input types forgotten; only `perform` calls `handle`, after parsing. */
export interface Route extends Declaration {
  readonly query: GenericSchema | null
  readonly body: GenericSchema | null
  readonly handle: (control: Control, call: Call<unknown, unknown>) => Promise<Reply>
}

/** Declares an operation; the types of `query` and `body` reach `handle`. */
export function route<
  Q extends GenericSchema | undefined = undefined,
  B extends GenericSchema | undefined = undefined,
>(spec: RouteSpec<Q, B>): Route {
  const { query, body, handle, ...declaration } = spec
  return {
    ...declaration,
    query: query ?? null,
    body: body ?? null,
    // The cast is sound because `perform` parses with `query` and `body` before it calls.
    handle: handle as unknown as Route['handle'],
  }
}

export const ok = (body: unknown): Reply => ({ status: 200, body })
export const created = (body: unknown): Reply => ({ status: 201, body })
export const noContent: Reply = { status: 204 }

/** The same permission written shortly: `can('core', 'zones', 'list')`. */
export const can = (apiGroup: string, resource: string, verb: string): Permission => ({
  apiGroup,
  resource,
  verb,
})
