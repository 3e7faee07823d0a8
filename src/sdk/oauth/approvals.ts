/** Waiting for, and making, a human's decision (sdk-cli-console §5.2). */
import { pause, withDeadline } from '../deadline.ts'
import { CaracalError } from '../errors.ts'
import { jsonObject, readText } from '../read-body.ts'
import { stsError, stsUnavailable } from './answer.ts'

const states = ['pending', 'approved', 'rejected', 'expired', 'consumed'] as const
export type ApprovalState = (typeof states)[number]

export interface PollApprovalOptions {
  readonly stsUrl: string
  readonly approvalId: string
  /** Default 300 000. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly fetchImpl?: typeof fetch | undefined
}

const longestAnswer = 64 * 1024
/** A server that is started again may be away for so long. */
const longestAbsenceMs = 15_000

/**
 * Long-polls until the approval is decided or the time is over; then `pending`. Needs no credentials.
 * Asks again when a poll gets no answer; every answer but a state is an error.
 */
export async function pollApprovalState(options: PollApprovalOptions): Promise<ApprovalState> {
  const { approvalId, signal, timeoutMs = 300_000 } = options
  const send = options.fetchImpl ?? fetch
  const url = `${options.stsUrl.replace(/\/+$/, '')}/approvals/${encodeURIComponent(approvalId)}`
  const deadline = performance.now() + timeoutMs
  let lostAt: number | null = null
  for (;;) {
    const left = Math.floor((deadline - performance.now()) / 1000)
    const wait = Math.min(Math.max(left, 1), 25)
    const asked = performance.now()
    try {
      // The server may hold the answer for `wait` seconds; what comes on top is the network.
      const state = await withDeadline((wait + 10) * 1000, [signal], async (inner) => {
        const response = await send(`${url}?wait=${wait}`, { signal: inner, redirect: 'manual' })
        const text = await readText(response, longestAnswer)
        if (!response.ok) throw stsError(response, text)
        return stateOf(text)
      })
      if (state !== 'pending' || performance.now() >= deadline) return state
      lostAt = null
    } catch (error) {
      if (error instanceof CaracalError || signal?.aborted) throw error
      lostAt ??= performance.now()
      if (performance.now() >= Math.min(deadline, lostAt + longestAbsenceMs)) throw stsUnavailable(error)
    }
    // A server that answers at once must not be asked in a tight loop.
    const rest = 250 - (performance.now() - asked)
    if (rest > 0) await pause(Math.min(rest, Math.max(0, deadline - performance.now())), signal)
  }
}

function stateOf(text: string): ApprovalState {
  const state = jsonObject(text)?.state
  const found = states.find((known) => known === state)
  if (found === undefined)
    throw new CaracalError('invalid_response', 'STS answered an unknown approval state')
  return found
}

export interface DecideApprovalOptions {
  /** The federated user's own session mandate. */
  readonly subjectToken: string
  readonly approvalId: string
  readonly binding: string
  readonly decision: 'approved' | 'rejected'
  readonly reason?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Posts a federated user's decision; any 2xx is success. */
export async function decideApproval(
  sts: { readonly stsUrl: string; readonly fetchImpl: typeof fetch; readonly timeoutMs: number },
  options: DecideApprovalOptions,
): Promise<void> {
  const url = `${sts.stsUrl}/approvals/${encodeURIComponent(options.approvalId)}/decision`
  await withDeadline(sts.timeoutMs, [options.signal], async (signal) => {
    const response = await sts.fetchImpl(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${options.subjectToken}` },
      body: JSON.stringify({
        decision: options.decision,
        binding: options.binding,
        ...(options.reason === undefined ? {} : { reason: options.reason }),
      }),
      signal,
      redirect: 'manual',
    })
    const text = await readText(response, longestAnswer)
    if (!response.ok) throw stsError(response, text)
  })
}
