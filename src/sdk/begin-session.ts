/**
 * Starting a governed session: request, optional narrowing, context. Whoever leaves while
 * the coordinator is still creating it leaves no session behind.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { Authority, assertPositiveInteger, wireConstraints } from './authority.ts'
import { type CaracalContext, currentContext, type TokenSource } from './context.ts'
import type { StartedSession, Trace } from './coordinator.ts'
import { type ClientCore, callWith, endSession } from './core.ts'
import { orAborted } from './deadline.ts'
import { isTraceId } from './envelope.ts'

export interface SessionOptions {
  readonly authority?: Authority | undefined
  readonly ttlSeconds?: number | undefined
  readonly subjectAuthorityRecordId?: string | undefined
  /** The federated user's own mandate: proof that the record may be used. */
  readonly subjectAuthorityRecordToken?: string | undefined
  readonly parentSessionId?: string | undefined
  /** Kept as `metadata.task`. */
  readonly task?: string | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly labels?: readonly string[] | undefined
  /** 32 lowercase hex digits. */
  readonly traceId?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface BegunSession {
  readonly context: CaracalContext
  readonly session: StartedSession
  readonly tokens: TokenSource
  readonly trace: Trace
}

export async function beginSession(
  core: ClientCore,
  options: SessionOptions,
  lifecycle: 'task' | 'service',
): Promise<BegunSession> {
  core.assertOpen()
  const { signal } = options
  signal?.throwIfAborted()
  const authority = options.authority ?? Authority.inherit()
  const idempotency = idempotencyOf(options.idempotencyKey)
  const ttlSeconds = lifecycle === 'service' ? undefined : (options.ttlSeconds ?? core.defaultTtlSeconds)
  if (ttlSeconds !== undefined) assertPositiveInteger(ttlSeconds, 'ttlSeconds')
  const ambient = currentContext()
  const { zoneId, applicationId } = await core.identity()
  const parent = isForeign(ambient, zoneId, applicationId) ? undefined : ambient
  const parentId = parentOf(options.parentSessionId, parent)
  const trace: Trace = {
    traceId: traceIdOf(options.traceId, ambient),
    traceFlags: ambient?.traceFlags,
    traceState: ambient?.traceState,
  }
  const tokens = parent?.tokenSource ?? core.rootTokens
  const metadata = options.task === undefined ? options.metadata : { ...options.metadata, task: options.task }

  // Without the caller's signal: an abandoned request may still create a session that must be ended.
  const starting = callWith(tokens, { zoneId, trace }, (call) =>
    core.coordinator.startSession(
      call,
      {
        application_id: applicationId,
        subject_session_id: options.subjectAuthorityRecordId,
        subject_token: options.subjectAuthorityRecordToken,
        parent_id: parentId,
        lifecycle: lifecycle === 'service' ? 'service' : undefined,
        ttl_seconds: ttlSeconds,
        metadata,
        labels: options.labels,
        parent_authority: authority.mode === 'inherit' ? 'inherit' : 'none',
      },
      idempotency,
    ),
  )
  const undo = (started: StartedSession) =>
    endSession(core, tokens, {
      zoneId,
      sessionId: started.sessionId,
      trace,
      ...(lifecycle === 'service' && started.leaseGeneration !== undefined
        ? { leaseGeneration: started.leaseGeneration }
        : {}),
    })
  let session: StartedSession
  try {
    session = await orAborted(starting, signal)
  } catch (error) {
    if (signal?.aborted)
      core.background(
        starting
          .then(undo, () => undefined)
          .catch((failure) => core.warn('an abandoned session could not be ended', failure)),
      )
    throw error
  }

  try {
    signal?.throwIfAborted()
    const edge =
      authority.mode === 'narrow'
        ? await narrow(core, authority, {
            zoneId,
            applicationId,
            parentId,
            parent,
            session,
            tokens,
            trace,
            signal,
          })
        : null
    const context: CaracalContext = {
      subjectToken: await tokens(),
      zoneId,
      applicationId,
      sessionId: session.sessionId,
      delegationId: edge ?? session.delegationId,
      parentDelegationId: edge === null ? undefined : parent?.delegationId,
      subjectAuthorityRecordId: options.subjectAuthorityRecordId ?? parent?.subjectAuthorityRecordId,
      ...trace,
      baggage: ambient?.baggage,
      hop: (parent?.hop ?? 0) + (edge === null ? 0 : 1),
      ownToken: true,
      tokenSource: tokens,
    }
    return { context, session, tokens, trace }
  } catch (error) {
    await undo(session).catch((failure) =>
      core.warn('a session could not be ended after a failed start', failure),
    )
    throw error
  }
}

async function narrow(
  core: ClientCore,
  authority: Extract<Authority, { mode: 'narrow' }>,
  of: {
    readonly zoneId: string
    readonly applicationId: string
    readonly parentId: string | undefined
    readonly parent: CaracalContext | undefined
    readonly session: StartedSession
    readonly tokens: TokenSource
    readonly trace: Trace
    readonly signal: AbortSignal | undefined
  },
): Promise<string> {
  const { parentId } = of
  if (parentId === undefined)
    throw new Error('Authority.narrow needs a parent session: call session() inside another session')
  const { delegationId } = await callWith(
    of.tokens,
    { zoneId: of.zoneId, trace: of.trace, signal: of.signal },
    (call) =>
      core.coordinator.createDelegation(call, {
        issuer_application_id: of.applicationId,
        source_session_id: parentId,
        target_session_id: of.session.sessionId,
        receiver_application_id: of.applicationId,
        parent_edge_id: of.parent?.delegationId,
        resource_id: authority.resourceId,
        scopes: authority.scopes,
        constraints: authority.constraints === undefined ? undefined : wireConstraints(authority.constraints),
        ttl_seconds: authority.ttlSeconds,
      }),
  )
  return delegationId
}

/** Another application's client of this process is at work: its session is no parent of ours. */
function isForeign(context: CaracalContext | undefined, zoneId: string, applicationId: string): boolean {
  return context?.ownToken === true && (context.zoneId !== zoneId || context.applicationId !== applicationId)
}

function parentOf(given: string | undefined, context: CaracalContext | undefined): string | undefined {
  if (given !== undefined && context?.sessionId !== undefined && given !== context.sessionId)
    throw new Error('parentSessionId is another session than the one this code runs in')
  return given ?? context?.sessionId
}

function traceIdOf(given: string | undefined, parent: CaracalContext | undefined): string {
  if (given !== undefined && !isTraceId(given)) throw new TypeError('traceId must be 32 lowercase hex digits')
  return given ?? parent?.traceId ?? randomBytes(16).toString('hex')
}

function idempotencyOf(key: string | undefined): { readonly key: string; readonly generated: boolean } {
  if (key === undefined) return { key: randomUUID(), generated: true }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about control characters.
  if (key === '' || key !== key.trim() || /[\u0000-\u001f\u007f]/.test(key) || Buffer.byteLength(key) > 255)
    throw new TypeError(
      'idempotencyKey must be 1 to 255 bytes without control characters or surrounding space',
    )
  return { key, generated: false }
}
