/**
 * Token exchange, step by step (sts §5.2). The order is the contract: a check may
 * rely on everything above it, and the first one that refuses decides the answer.
 */
import type { Caller } from '../../platform/crypto/port.ts'
import { CaracalError } from '../../platform/errors.ts'
import type { Tracer } from '../../platform/observe/tracer.ts'
import { bindAuthorityRecord } from './checks/bind-authority-record.ts'
import { boundTtl } from './checks/bound-ttl.ts'
import { decideResources } from './checks/decide-resources.ts'
import { holdForApproval } from './checks/hold-for-approval.ts'
import { presentApproval } from './checks/present-approval.ts'
import { refuseRelay } from './checks/refuse-relay.ts'
import { requireGrant } from './checks/require-grant.ts'
import { requireResource } from './checks/require-resource.ts'
import { validateReferences } from './checks/validate-references.ts'
import { verifySubjectToken } from './checks/verify-subject-token.ts'
import type { Check, ExchangeDeps } from './exchange-deps.ts'
import { type Exchange, type ExchangeRequest, idTokenType, Unproven } from './exchange-state.ts'
import { federate } from './federation/federate.ts'
import { type IssuedMandate, issueMandate } from './issue.ts'
import { newExchange, openExchange, type State } from './open-exchange.ts'
import type { PendingUse } from './pending-use.ts'
import { UseNotClaimed } from './port.ts'
import type { Recalled } from './recent-exchanges.ts'

const checks: readonly Check[] = [
  requireResource, //     C   at least one resource
  boundTtl, //                ttl_seconds within its bounds
  verifySubjectToken, //  E1  the presented mandate is ours
  bindAuthorityRecord, // E3  and its authority record is alive
  presentApproval, //     F   the approval presented is for this request
  validateReferences, //  G   session and delegation carry authority now
  decideResources, //     H   each resource: floor, rate, policy
  holdForApproval, //     I   a human is asked where policy says so
  requireGrant, //        J   something was granted
  refuseRelay, //         K   subject tokens are traded by the gateway only
]

/** Checks that refuse without evidence of their own, and the status their refusal is recorded under. */
const silentRefusals: ReadonlyMap<Check, string> = new Map<Check, string>([
  [verifySubjectToken, 'invalid_subject_token'],
  [bindAuthorityRecord, 'reference_invalid'],
  [validateReferences, 'reference_invalid'],
])

function isRefusal(error: unknown): error is CaracalError {
  return error instanceof CaracalError && error.status < 500
}

/** What was begun for an exchange before it was asked for. */
export interface Prepared {
  readonly begun?: Promise<State>
  /** What was remembered for it a moment ago. */
  readonly recalled?: Recalled
  readonly pendingUse?: PendingUse
}

/**
 * Runs one exchange, on what was read for it already if anything was. Rejects with `CaracalError`, and where a claim was
 * left to it with `UseNotClaimed`; anything else is a defect.
 */
export function exchange(
  request: ExchangeRequest,
  deps: ExchangeDeps,
  caller?: Caller,
  prepared: Prepared = {},
): Promise<IssuedMandate> {
  return deps.tracer === null
    ? runExchange(request, deps, caller, prepared)
    : tracedExchange(deps.tracer, request, deps, caller, prepared)
}

async function tracedExchange(
  tracer: Tracer,
  request: ExchangeRequest,
  deps: ExchangeDeps,
  caller: Caller | undefined,
  prepared: Prepared,
): Promise<IssuedMandate> {
  const span = tracer.start('caracal.sts.exchange', {
    kind: 'internal',
    parent: request.trace ?? null,
    attributes: {
      'caracal.zone_id': request.zoneId,
      'caracal.application_id': request.applicationId,
      'caracal.resources': request.resources.join(' '),
      'caracal.for_gateway': request.gateway !== null,
    },
  })
  try {
    const issued = await runExchange({ ...request, trace: span.trace }, deps, caller, prepared)
    span.end()
    return issued
  } catch (error) {
    const { code, answered } = refusalOf(error)
    span.set('caracal.refusal', code)
    span.end(answered ? undefined : code)
    throw error
  }
}

/** How a span names it. A refusal is an answer; only what the service failed at is an error. */
function refusalOf(error: unknown): { readonly code: string; readonly answered: boolean } {
  if (error instanceof UseNotClaimed) return { code: error.outcome, answered: error.outcome !== 'unknown' }
  return error instanceof CaracalError
    ? { code: error.code, answered: error.status < 500 }
    : { code: 'defect', answered: false }
}

async function runExchange(
  request: ExchangeRequest,
  deps: ExchangeDeps,
  caller: Caller | undefined,
  { begun, pendingUse, ...prepared }: Prepared,
): Promise<IssuedMandate> {
  const counted: Exchange['counted'] = new Map()
  const recalled = prepared.recalled ?? (begun === undefined ? (deps.recent?.recall(request) ?? null) : null)
  if (recalled !== null) {
    const issued = await exchangeFromMemory(newExchange(request, recalled, counted, pendingUse), deps)
    if (issued !== null) return issued
  }
  await pendingUse?.claim()
  const x = await openExchange(request, deps, caller, begun, counted) // A, D
  try {
    if (request.subjectTokenType === idTokenType) return await federate(x, deps) // B
    await pass(checks, x, deps)
    const issued = await issueMandate(x, deps) // M
    deps.recent?.keep(x)
    return issued
  } finally {
    // Whatever became of the exchange: what was decided is told.
    void deps.evidence.send(x)
  }
}

/** `null` unless a mandate comes of it: then nothing was told or written, and the exchange is made on a snapshot. */
async function exchangeFromMemory(x: Exchange, deps: ExchangeDeps): Promise<IssuedMandate | null> {
  const { request } = x
  try {
    if (request.gateway === null) await deps.authFailures.refuseBlocked(request.applicationId)
    await pass(checks, x, deps)
    const issued = await issueMandate(x, deps)
    deps.onRemembered(true)
    return issued
  } catch (error) {
    if (x.premise === null || error instanceof UseNotClaimed) throw error
    if (error instanceof Unproven && error.disproved) {
      deps.recent?.unsettle(request)
      deps.onRemembered(false)
    }
    return null
  } finally {
    if (x.premise === null) void deps.evidence.send(x)
  }
}

async function pass(steps: readonly Check[], x: Exchange, deps: ExchangeDeps): Promise<void> {
  for (const check of steps) {
    try {
      const pending = check(x, deps)
      if (pending !== undefined) await pending
    } catch (error) {
      const status = silentRefusals.get(check)
      if (status !== undefined && isRefusal(error)) deps.evidence.denied(x, status, { reason: error.message })
      throw error
    }
  }
}
