/** What the parts of one client share. */
import type { TokenSource } from './context.ts'
import { type CallContext, type CoordinatorClient, isGone, type Trace } from './coordinator.ts'
import { CoordinatorError } from './errors.ts'
import type { EventHub } from './events.ts'
import type { Exchanger, Identity } from './exchanger.ts'
import type { ResourceBinding } from './gateway-route.ts'

export type Warn = (message: string, error?: unknown) => void

export interface ClientCore {
  readonly coordinator: CoordinatorClient
  readonly exchanger: Exchanger | null
  readonly fetch: typeof fetch
  readonly gatewayUrl: string | undefined
  readonly bindings: readonly ResourceBinding[]
  readonly defaultTtlSeconds: number | undefined
  readonly warn: Warn
  readonly events: EventHub
  /** The client's own lifecycle mandate, or the token it was given. */
  readonly rootTokens: TokenSource
  identity(): Promise<Identity>
  /** Throws once the client is closed. */
  assertOpen(): void
  /** Service sessions that are open: `close()` ends them. */
  readonly handles: Set<{ readonly sessionId: string; close(): Promise<void> }>
  /** Work that goes on after its caller left; `close()` waits for it. */
  background(work: Promise<unknown>): void
}

/** One coordinator call; a refused token is renewed once. */
export async function callWith<T>(
  source: TokenSource,
  call: Omit<CallContext, 'token'>,
  work: (call: CallContext) => Promise<T>,
): Promise<T> {
  try {
    return await work({ ...call, token: await source() })
  } catch (error) {
    const refused = error instanceof CoordinatorError && error.status === 401
    if (!refused || source.invalidate === undefined) throw error
    source.invalidate()
    return work({ ...call, token: await source() })
  }
}

/** Ends a session; one that is over already is ended. */
export async function endSession(
  core: Pick<ClientCore, 'coordinator'>,
  source: TokenSource,
  session: {
    readonly zoneId: string
    readonly sessionId: string
    readonly leaseGeneration?: number
    readonly trace?: Trace
  },
): Promise<void> {
  try {
    await callWith(source, { zoneId: session.zoneId, trace: session.trace }, (call) =>
      core.coordinator.endSession(call, session.sessionId, session.leaseGeneration),
    )
  } catch (error) {
    if (!isGone(error)) throw error
  }
}
