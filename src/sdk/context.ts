/**
 * Under which authority the current code runs. Carried by one AsyncLocalStorage of the
 * module, so that the SDK and the adapters of one package see the same context.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

/** Gives the lifecycle mandate of a client; `invalidate` makes the next one fresh. */
export interface TokenSource {
  (): string | Promise<string>
  invalidate?(): void
}

export interface CaracalContext {
  readonly subjectToken: string
  readonly zoneId: string
  readonly applicationId: string
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
  readonly parentDelegationId?: string | undefined
  readonly subjectAuthorityRecordId?: string | undefined
  readonly traceId?: string | undefined
  readonly traceFlags?: string | undefined
  readonly traceState?: string | undefined
  /** Members of others; the `caracal.*` ones are written from the fields above. */
  readonly baggage?: Readonly<Record<string, string>> | undefined
  readonly hop: number
  /** The token is this client's own, not one that came with a request. */
  readonly ownToken?: boolean | undefined
  readonly tokenSource?: TokenSource | undefined
}

const storage = new AsyncLocalStorage<CaracalContext>()

export function currentContext(): CaracalContext | undefined {
  return storage.getStore()
}

/** Runs `fn` under `context`, which is copied: later changes of its baggage do not reach in. */
export function runInContext<T>(context: CaracalContext, fn: () => T): T {
  return storage.run(copyContext(context), fn)
}

/** The current context for use elsewhere, or undefined outside any. */
export function captureContext(): CaracalContext | undefined {
  const context = currentContext()
  return context === undefined ? undefined : copyContext(context)
}

export function copyContext(context: CaracalContext): CaracalContext {
  return context.baggage === undefined ? { ...context } : { ...context, baggage: { ...context.baggage } }
}

export interface AuthorityDescription {
  readonly zoneId: string
  readonly applicationId: string
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
  readonly parentDelegationId?: string | undefined
  readonly subjectAuthorityRecordId?: string | undefined
  readonly hop: number
  /** From the subject to the innermost delegation, such as `session:01a…`. */
  readonly chain: readonly string[]
}

/** The ids under which the current code acts; undefined outside any context. */
export function describeAuthority(context = currentContext()): AuthorityDescription | undefined {
  if (context === undefined) return undefined
  const { zoneId, applicationId, sessionId, delegationId, parentDelegationId, hop } = context
  const { subjectAuthorityRecordId } = context
  const links: readonly (readonly [string, string | undefined])[] = [
    ['subject', subjectAuthorityRecordId],
    ['session', sessionId],
    ['parent-delegation', parentDelegationId],
    ['delegation', delegationId],
  ]
  return {
    zoneId,
    applicationId,
    sessionId,
    delegationId,
    parentDelegationId,
    subjectAuthorityRecordId,
    hop,
    chain: links.flatMap(([name, id]) => (id === undefined ? [] : [`${name}:${id}`])),
  }
}
