/**
 * Telling sinks of approvals (control-api §7.17): events become deliveries, deliveries
 * become signed POSTs, in order for each sink. Runs in one process at a time; a process
 * that dies leaves a lease that runs out.
 */
import { createHmac } from 'node:crypto'
import { EnvelopeError } from '../../platform/crypto/envelope.ts'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import type { Job, JobContext } from '../../platform/jobs/job.ts'
import { withXactTryLock } from '../../platform/jobs/single-runner.ts'
import type { Control } from './control.ts'
import {
  activeSinks,
  claimDeliveries,
  type DeliveryResult,
  type DueDelivery,
  fanOut,
  releaseDeliveries,
  settleDelivery,
} from './store/sinks.ts'

const LOCK = '7163920485318484'
const MAX_SINKS = 200
const EVENTS_PER_SINK = 100
const DELIVERIES_PER_PASS = 25
const AT_ONCE = 5
const LEASE_SECONDS = 30
const TIMEOUT_MS = 10_000
/** For what comes before and after a call. */
const MARGIN_MS = 5_000
const MAX_ATTEMPTS = 8
const MAX_DELAY_SECONDS = 900

/** Seconds before the next try: doubling from half a minute, with up to 30 % jitter. */
export function retryDelay(attempts: number, random: number): number {
  return Math.min(MAX_DELAY_SECONDS, 30 * 2 ** (attempts - 1)) * (1 + 0.3 * random)
}

/** `v1=` and the hex HMAC-SHA256 of `<timestamp>.<body>`. */
export function signatureOf(secret: string, timestamp: number, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`
}

interface Sent {
  readonly status: number | null
  readonly error: string | null
}

async function post(control: Control, delivery: DueDelivery): Promise<Sent> {
  const { cipher } = control
  if (cipher === null) return { status: null, error: 'no secret store key' }
  const secret = cipher.open(delivery.secret_ct, columnAad.notificationSinkSecret).toString('utf8')
  const body = JSON.stringify(delivery.payload_json)
  const timestamp = Math.floor(Date.now() / 1000)
  const local = isLoopback(delivery.url)
  const egress = local && control.loopback !== null ? control.loopback : control.egress
  const answer = await egress.fetch(delivery.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-caracal-event': delivery.event_type,
      'x-caracal-delivery': delivery.id,
      'x-caracal-sink': delivery.sink_id,
      'x-caracal-timestamp': String(timestamp),
      'x-caracal-signature': signatureOf(secret, timestamp, body),
    },
    body,
    allowHttp: local,
    timeoutMs: TIMEOUT_MS,
  })
  const delivered = answer.status >= 200 && answer.status < 300
  return { status: answer.status, error: delivered ? null : `the sink answered ${answer.status}` }
}

/** A delivery that fails in whatever way is one that failed: it is tried again, and given up in the end. */
function failure({ log }: JobContext, delivery: DueDelivery, error: unknown): Sent {
  if (error instanceof EgressError)
    return { status: null, error: `the sink cannot be reached: ${error.reason}` }
  if (error instanceof EnvelopeError)
    return { status: null, error: `the secret of the sink cannot be opened: ${error.reason}` }
  log.error({ err: error, delivery_id: delivery.id, sink_id: delivery.sink_id }, 'notification_failed')
  return { status: null, error: 'the delivery failed' }
}

/** Plain http is for a receiver on this very machine (control-api §7.17). */
export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname
  return host === 'localhost' || host === '127.0.0.1' || host === '[::1]'
}

async function deliver(control: Control, delivery: DueDelivery, context: JobContext): Promise<void> {
  const { status, error } = await post(control, delivery).catch((cause) => failure(context, delivery, cause))
  const giveUp = error !== null && delivery.attempts >= MAX_ATTEMPTS
  const result: DeliveryResult = {
    status,
    error,
    retryInSeconds: error === null || giveUp ? null : retryDelay(delivery.attempts, Math.random()),
  }
  await control.db.transaction((tx) => settleDelivery(tx, delivery, result))
}

/**
 * Several sinks at once, so that a slow one holds up only itself. None is begun that could outlast its lease:
 * another process would send it too, and the one after it before it. What is left goes back.
 */
async function deliverDue(control: Control, context: JobContext): Promise<void> {
  const leasedAt = performance.now()
  const queue = await claimDeliveries(control.db, DELIVERIES_PER_PASS, LEASE_SECONDS)
  const inTime = () => performance.now() - leasedAt < LEASE_SECONDS * 1000 - TIMEOUT_MS - MARGIN_MS
  const worker = async (): Promise<void> => {
    while (inTime() && !context.signal.aborted) {
      const next = queue.shift()
      if (next === undefined) return
      await deliver(control, next, context)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await releaseDeliveries(control.db, queue)
}

/**
 * The bookkeeping, for the sinks whose turn it is behind `after`; answers the last of them, empty where none is
 * active, null when another process is the runner. The lock covers this, the lease the sending.
 */
async function fanOutNext({ db }: Control, after: string): Promise<string | null> {
  return await db.transaction(async (tx) => {
    if (!(await withXactTryLock(tx, LOCK))) return null
    const sinks = await activeSinks(tx, after, MAX_SINKS)
    for (const sink of sinks) await fanOut(tx, sink, EVENTS_PER_SINK)
    return sinks.at(-1)?.id ?? ''
  })
}

export function notificationJob(control: Control): Job {
  let after = ''
  return {
    name: 'notification_dispatcher',
    intervalMs: 5000,
    async run(context) {
      const last = await fanOutNext(control, after)
      if (last === null) return
      after = last
      if (after !== '') await deliverDue(control, context)
    },
  }
}
