/**
 * An HTTP operation, declared once: the declaration registers the handler, parses what
 * comes in and becomes the OpenAPI entry. The schemas are valibot; the parse and the refusals
 * are ours (`validate.ts`), because a validator that answers by itself echoes values.
 */
import type { Context, Hono } from 'hono'
import type { GenericSchema, InferOutput } from '../schema.ts'
import type { ErrorCode } from './errors/registry.ts'
import { parseBody, parseQuery, pathIds } from './validate.ts'

export type OperationMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What the document says of an operation. */
export interface OperationEntry {
  readonly method: OperationMethod
  /** OpenAPI form: `/zones/{zoneId}/agents`. */
  readonly path: string
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  /** Names of security schemes, any of which will do; empty = no credential. */
  readonly security: readonly string[]
  readonly query?: GenericSchema | undefined
  readonly body?: GenericSchema | undefined
  readonly bodyOptional?: boolean
  /** Documented answers by status; `null` = no body. */
  readonly responses: Readonly<Record<number, GenericSchema | null>>
  /** Further media types of successful answers (`text/csv`). */
  readonly alsoAnswers?: readonly string[]
  /** Error codes this operation may answer with, by their registered status unless `errorStatus` says otherwise. */
  readonly errors: readonly ErrorCode[]
  readonly errorStatus?: Readonly<Partial<Record<ErrorCode, number>>>
  /** `x-caracal-…` members: permission, capability, priority. */
  readonly extensions?: Readonly<Record<`x-caracal-${string}`, unknown>>
}

type Output<S> = S extends GenericSchema ? InferOutput<S> : undefined

export interface OperationInput<Q, B> {
  readonly c: Context
  /** Path parameters, each a well-formed id. */
  readonly params: Readonly<Record<string, string>>
  readonly query: Q
  readonly body: B
}

export interface Operation<
  Q extends GenericSchema | undefined = undefined,
  B extends GenericSchema | undefined = undefined,
> extends OperationEntry {
  readonly query?: Q
  readonly body?: B
  /** Code of a 400 for a query that does not parse. */
  readonly invalidQuery?: ErrorCode
  /** Code of a 400 for a body that does not parse. */
  readonly invalidBody?: ErrorCode
  readonly handle: (input: OperationInput<Output<Q>, Output<B>>) => Response | Promise<Response>
}

/** Hono form of a declared path: `{id}` becomes `:id`. */
export function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

/** Registers an operation and returns its entry for the document. Order: path, query, body (control-api §2.3). */
export function mountOperation<
  Q extends GenericSchema | undefined = undefined,
  B extends GenericSchema | undefined = undefined,
>(app: Hono, operation: Operation<Q, B>): OperationEntry {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string)
  const { query, body, invalidQuery, invalidBody } = operation
  app.on(operation.method, honoPath(operation.path), async (c) => {
    const params = pathIds(c, ...names)
    const parsedQuery = query && parseQuery(c, query, invalidQuery ? { code: invalidQuery } : {})
    const parsedBody = body && (await parseBody(c, body, invalidBody ? { code: invalidBody } : {}))
    return operation.handle({ c, params, query: parsedQuery as Output<Q>, body: parsedBody as Output<B> })
  })
  return operation
}

export interface RouteInventory {
  /** Registered on the app, absent from the entries. */
  readonly undocumented: readonly string[]
  /** In the entries, not registered. */
  readonly unregistered: readonly string[]
}

/** Compares what an app answers with what is documented; a test asserts that both lists are empty. */
export function routeInventory(
  app: Hono,
  entries: readonly Pick<OperationEntry, 'method' | 'path'>[],
  ignored: (path: string) => boolean = () => false,
): RouteInventory {
  const registered = new Set(
    app.routes
      .filter((route) => route.method !== 'ALL' && !ignored(route.path))
      .map((route) => `${route.method} ${route.path}`),
  )
  const documented = new Set(entries.map((entry) => `${entry.method} ${honoPath(entry.path)}`))
  return {
    undocumented: [...registered].filter((route) => !documented.has(route)).sort(),
    unregistered: [...documented].filter((route) => !registered.has(route)).sort(),
  }
}
