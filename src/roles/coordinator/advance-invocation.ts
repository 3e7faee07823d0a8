/**
 * Start, cancel and complete (coordinator §7.3, §7.4): each locks the invocation, asks who may,
 * and takes one transition of the state machine. Retries are the worker's: nothing runs by itself.
 */
import type { Tx } from '../../platform/db/port.ts'
import type { ErrorCode } from '../../platform/http/errors/registry.ts'
import { type Asked, type Caller, mayInvokeFor } from './caller.ts'
import type { CoordinatorContext } from './deps.ts'
import { type InvocationEvent, invocationChanged } from './events.ts'
import { invocationFor } from './invocation-view.ts'
import { refuse } from './refusal.ts'
import {
  cancelInvocation,
  completeInvocation,
  type InvocationOwners,
  type InvocationRow,
  type InvocationStatus,
  lockInvocation,
  startAttempt,
} from './store/invocations.ts'

export interface AdvanceRequest extends Asked {
  readonly invocationId: string
}

interface Locked extends InvocationOwners {
  readonly status: InvocationStatus
  readonly attempts: number
  readonly max_attempts: number
}

const startable: ReadonlySet<InvocationStatus> = new Set(['pending', 'failed', 'timed_out'])
const completable: ReadonlySet<InvocationStatus> = new Set(['running', 'cancel_requested'])

/** The next attempt. Throws 409 when none is left or the state forbids it. */
export const startInvocation = (
  deps: CoordinatorContext,
  request: AdvanceRequest,
): Promise<Record<string, unknown>> =>
  advance(deps, request, ownsService, async (tx, locked) => {
    if (!startable.has(locked.status) || locked.attempts >= locked.max_attempts) {
      throw refuse('invocation_not_startable')
    }
    return step('started', await startAttempt(tx, request.caller.zoneId, request.invocationId))
  })

/** Ends what has not begun; asks a worker to stop what runs. Asking twice is accepted. */
export const requestCancel = (
  deps: CoordinatorContext,
  request: AdvanceRequest & { readonly reason: string | null },
): Promise<Record<string, unknown>> =>
  advance(deps, request, ownsEitherEnd, async (tx, { status }) => {
    if (status !== 'pending' && !completable.has(status)) throw refuse('invocation_not_cancelable')
    const next = status === 'pending' ? 'canceled' : 'cancel_requested'
    const { zoneId } = request.caller
    return step(next, await cancelInvocation(tx, zoneId, request.invocationId, next, request.reason))
  })

export interface CompleteRequest extends AdvanceRequest {
  readonly status: 'succeeded' | 'failed' | 'canceled'
  readonly error: Readonly<Record<string, unknown>> | null
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What the worker reports. A failure with no attempt left is `dead`; `canceled` answers a request to cancel. */
export const reportOutcome = (
  deps: CoordinatorContext,
  request: CompleteRequest,
): Promise<Record<string, unknown>> =>
  advance(deps, request, ownsService, async (tx, locked) => {
    const allowed =
      request.status === 'canceled' ? locked.status === 'cancel_requested' : completable.has(locked.status)
    if (!allowed) throw refuse('invocation_not_completable')
    const exhausted = request.status === 'failed' && locked.attempts >= locked.max_attempts
    const status = exhausted ? 'dead' : request.status
    const { error, metadata } = request
    const row = await completeInvocation(tx, request.caller.zoneId, request.invocationId, {
      status,
      error,
      metadata,
    })
    return step(status, row)
  })

interface Step {
  readonly what: InvocationEvent
  readonly row: InvocationRow
}

const step = (what: InvocationEvent, row: InvocationRow): Step => ({ what, row })

const ownsService = (caller: Caller, owners: InvocationOwners): boolean =>
  mayInvokeFor(caller, owners.service_application_id)

const ownsEitherEnd = (caller: Caller, owners: InvocationOwners): boolean =>
  ownsService(caller, owners) || caller.clientId === owners.source_application_id

function advance(
  deps: CoordinatorContext,
  { caller, requestId, invocationId }: AdvanceRequest,
  may: (caller: Caller, owners: InvocationOwners) => boolean,
  take: (tx: Tx, locked: Locked) => Promise<Step>,
): Promise<Record<string, unknown>> {
  const { zoneId } = caller
  return deps.outbox.transaction(deps.db, async (tx) => {
    const locked = await lockInvocation(tx, zoneId, invocationId)
    if (locked === null) throw refuse('invocation_not_found')
    if (!may(caller, locked)) throw refuse('invoker_ownership_required')
    const { what, row } = await take(tx, locked)
    await deps.outbox.enqueue(tx, 'coordinator', [invocationChanged({ zoneId, requestId }, what, row)])
    return invocationFor(caller, row, locked)
  })
}

/** Refusals the three share. */
export const advanceErrors: readonly ErrorCode[] = ['invocation_not_found', 'invoker_ownership_required']
