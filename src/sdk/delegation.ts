/** Handing authority on, taking it up, and taking it back (sdk-cli-console §4.3). */
import { randomUUID } from 'node:crypto'
import { assertPositiveInteger, type DelegationConstraints, wireConstraints } from './authority.ts'
import { type CaracalContext, currentContext, runInContext } from './context.ts'
import { type ClientCore, callWith } from './core.ts'
import { maxHop } from './envelope.ts'

export interface DelegateOptions {
  readonly toSessionId: string
  /** Default: the own application. */
  readonly toApplicationId?: string | undefined
  readonly resourceId?: string | undefined
  readonly scopes: readonly string[]
  readonly constraints?: DelegationConstraints | undefined
  readonly ttlSeconds: number
  readonly signal?: AbortSignal | undefined
}

export interface Delegation {
  readonly delegationId: string
  readonly scopes: readonly string[]
  readonly expiresAt?: string | undefined
}

/** Delegates from the current session; the caller's own context does not change. */
export async function delegate(core: ClientCore, options: DelegateOptions): Promise<Delegation> {
  core.assertOpen()
  assertPositiveInteger(options.ttlSeconds, 'ttlSeconds')
  const { context, sessionId } = contextWithSession('delegate')
  return callWith(
    context.tokenSource ?? core.rootTokens,
    { zoneId: context.zoneId, trace: context, signal: options.signal },
    (call) =>
      core.coordinator.createDelegation(
        call,
        {
          issuer_application_id: context.applicationId,
          source_session_id: sessionId,
          target_session_id: options.toSessionId,
          receiver_application_id: options.toApplicationId ?? context.applicationId,
          parent_edge_id: context.delegationId,
          resource_id: options.resourceId,
          scopes: options.scopes,
          constraints: options.constraints === undefined ? undefined : wireConstraints(options.constraints),
          ttl_seconds: options.ttlSeconds,
        },
        randomUUID(),
      ),
  )
}

/** Runs `fn` under a delegation to the current session; with `validate` only if it is active now. */
export async function acceptDelegation<T>(
  core: ClientCore,
  delegationId: string,
  fn: (context: CaracalContext) => T | Promise<T>,
  options: { readonly validate?: boolean | undefined; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  core.assertOpen()
  const context = currentContext()
  if (context === undefined) throw new Error('acceptDelegation needs a context: call it inside a session')
  const validated = options.validate === true
  const began = performance.now()
  const tell = (ok: boolean) =>
    core.events.emit({
      type: 'delegation.accept',
      delegationId,
      sessionId: context.sessionId,
      validated,
      ok,
      durationMs: performance.now() - began,
    })
  if (validated) {
    try {
      await assertActive(core, delegationId, options.signal)
    } catch (error) {
      tell(false)
      throw error
    }
  }
  tell(true)
  const derived: CaracalContext = {
    ...context,
    parentDelegationId: context.delegationId,
    delegationId,
    hop: Math.min(context.hop + 1, maxHop),
  }
  return runInContext(derived, () => fn(derived))
}

async function assertActive(
  core: ClientCore,
  delegationId: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { context, sessionId } = contextWithSession('acceptDelegation with validate')
  const inbound = await callWith(
    context.tokenSource ?? core.rootTokens,
    { zoneId: context.zoneId, trace: context, signal },
    (call) => core.coordinator.listInbound(call, sessionId),
  )
  const status = inbound.find(({ id }) => id === delegationId)?.status
  if (status !== 'active')
    throw new Error(`delegation ${delegationId} is ${status ?? 'not delegated to this session'}`)
}

export async function revokeDelegation(
  core: ClientCore,
  delegationId: string,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  core.assertOpen()
  const context = currentContext()
  const { zoneId } = context ?? (await core.identity())
  await callWith(
    context?.tokenSource ?? core.rootTokens,
    { zoneId, trace: context, signal: options.signal },
    (call) => core.coordinator.revokeDelegation(call, delegationId),
  )
}

function contextWithSession(what: string): { readonly context: CaracalContext; readonly sessionId: string } {
  const context = currentContext()
  if (context?.sessionId === undefined) throw new Error(`${what} needs a session: call it inside session()`)
  return { context, sessionId: context.sessionId }
}
