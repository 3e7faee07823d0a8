/** Long-lived sessions with a lease that heartbeats keep (sdk-cli-console §4.2). */
import type { SessionOptions } from './begin-session.ts'
import { beginSession } from './begin-session.ts'
import { type CaracalContext, copyContext, currentContext, type TokenSource } from './context.ts'
import { type HeartbeatStatus, isGone, type Lease, type Trace } from './coordinator.ts'
import { type ClientCore, callWith, endSession } from './core.ts'

export interface AttachOptions {
  /** Fixed pace; 0 or less: no automatic heartbeat. Default: a third of the remaining lease. */
  readonly heartbeatIntervalMs?: number | undefined
  /** The session is over or someone else holds it. Called once. */
  readonly onLeaseLost?: ((error: unknown) => void) | undefined
  readonly onStateChange?: ((status: string) => void) | undefined
}

export interface ServiceSessionOptions extends Omit<SessionOptions, 'ttlSeconds'>, AttachOptions {}

export interface ServiceSession extends AsyncDisposable {
  readonly context: CaracalContext
  readonly sessionId: string
  readonly deadlineAt: Date | undefined
  readonly status: string
  readonly leaseGeneration: number
  /** Automatic ones end while the session is suspended: one of these finds it resumed and starts them again. */
  heartbeat(status?: HeartbeatStatus): Promise<void>
  /** Stops heartbeats and ends the session; one that is over counts as ended. */
  close(): Promise<void>
}

export async function startServiceSession(
  core: ClientCore,
  options: ServiceSessionOptions,
): Promise<ServiceSession> {
  const { context, session, tokens, trace } = await beginSession(core, options, 'service')
  const { leaseGeneration, deadlineAt } = session
  if (leaseGeneration === undefined || leaseGeneration < 1) {
    const { zoneId } = context
    await endSession(core, tokens, { zoneId, sessionId: session.sessionId, trace }).catch((error) =>
      core.warn('a session without a lease could not be ended', error),
    )
    throw new TypeError('coordinator started a service session without a lease_generation')
  }
  const lease = { status: 'active', deadlineAt, leaseGeneration }
  return adopted(core, createHandle(core, { context, tokens, trace }, lease, options))
}

/** Takes over a running service session: a new lease generation fences its former holder. */
export async function attachServiceSession(
  core: ClientCore,
  sessionId: string,
  options: AttachOptions,
): Promise<ServiceSession> {
  core.assertOpen()
  const { zoneId, applicationId } = await core.identity()
  const parent = currentContext()
  const tokens = core.rootTokens
  const lease = await callWith(tokens, { zoneId }, (call) => core.coordinator.lease(call, sessionId))
  const trace: Trace = { traceId: parent?.traceId, traceFlags: parent?.traceFlags }
  const context: CaracalContext = {
    subjectToken: await tokens(),
    zoneId,
    applicationId,
    sessionId,
    ...trace,
    hop: 0,
    ownToken: true,
    tokenSource: tokens,
  }
  return adopted(core, createHandle(core, { context, tokens, trace }, lease, options))
}

/** The client may have been closed meanwhile: then the session ends with it. */
async function adopted(core: ClientCore, handle: ServiceSession): Promise<ServiceSession> {
  core.handles.add(handle)
  try {
    core.assertOpen()
  } catch (error) {
    await handle
      .close()
      .catch((failure) => core.warn(`session ${handle.sessionId} could not be ended`, failure))
    throw error
  }
  return handle
}

const shortestMs = 1000
const longestMs = 300_000
const unknownDeadlineMs = 30_000

function createHandle(
  core: ClientCore,
  of: { readonly context: CaracalContext; readonly tokens: TokenSource; readonly trace: Trace },
  first: Lease,
  options: AttachOptions,
): ServiceSession {
  const { zoneId, sessionId = '' } = of.context
  const state = { ...first, status: first.status ?? 'active' }
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let closing: Promise<void> | null = null

  const stop = () => {
    stopped = true
    clearTimeout(timer)
  }
  const notify = (callback: () => void) => {
    try {
      callback()
    } catch (error) {
      core.warn('a session callback failed', error)
    }
  }
  const lose = (error: unknown) => {
    if (stopped) return
    stop()
    notify(() => options.onLeaseLost?.(error))
  }

  async function beat(status: HeartbeatStatus): Promise<void> {
    let lease: Lease
    try {
      lease = await callWith(of.tokens, { zoneId, trace: of.trace }, (call) =>
        core.coordinator.heartbeat(call, sessionId, status, state.leaseGeneration),
      )
    } catch (error) {
      if (isGone(error)) lose(error)
      throw error
    }
    const before = state.status
    Object.assign(state, { ...lease, status: lease.status ?? state.status })
    if (state.status === 'suspended') clearTimeout(timer)
    else if (before === 'suspended') schedule()
    if (state.status !== before) notify(() => options.onStateChange?.(state.status))
  }

  function schedule(): void {
    clearTimeout(timer)
    const fixed = options.heartbeatIntervalMs
    if (stopped || (fixed !== undefined && fixed <= 0) || state.status === 'suspended') return
    const left = state.deadlineAt === undefined ? null : state.deadlineAt.getTime() - Date.now()
    const pace = left === null ? unknownDeadlineMs : Math.min(Math.max(left / 3, shortestMs), longestMs)
    timer = setTimeout(() => core.background(tick()), fixed ?? pace * (0.9 + Math.random() * 0.2))
    // A heartbeat alone must not keep a process alive.
    timer.unref()
  }

  async function tick(): Promise<void> {
    try {
      await beat('healthy')
    } catch (error) {
      if (!stopped) core.warn(`heartbeat of session ${sessionId} failed`, error)
    }
    schedule()
  }

  schedule()
  const handle: ServiceSession = {
    context: copyContext(of.context),
    sessionId,
    get deadlineAt() {
      return state.deadlineAt
    },
    get status() {
      return state.status
    },
    get leaseGeneration() {
      return state.leaseGeneration
    },
    async heartbeat(status = 'healthy') {
      core.assertOpen()
      if (stopped) throw new Error(`session ${sessionId} is closed or its lease is lost`)
      await beat(status)
    },
    close() {
      stop()
      core.handles.delete(handle)
      closing ??= endSession(core, of.tokens, {
        zoneId,
        sessionId,
        leaseGeneration: state.leaseGeneration,
        trace: of.trace,
      })
      return closing
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
  return handle
}
