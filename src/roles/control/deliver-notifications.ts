/**
 * Telling sinks of approvals (control-api §7.17): events become deliveries, deliveries
 * become signed POSTs, in order for each sink. Runs in one process at a time; a process
 * that dies leaves a lease that runs out.
 */
import { createHmac } from 'node:crypto'
import { columnAad } from '../../platform/crypto/secret-store.ts'
import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import type { Job } from '../../platform/jobs/job.ts'
import { withXactTryLock } from '../../platform/jobs/single-runner.ts'
import type { Control } from './control.ts'
import {
  activeSinks,
  claimDeliveries,
  type DeliveryResult,
  type DueDelivery,
  deleteSettled,
  fanOut,
  settleDelivery,
} from './store/sinks.ts'

const LOCK = '7163920485318484'
const MAX_SINKS = 200
const EVENTS_PER_SINK = 100
const DELIVERIES_PER_PASS = 25
const AT_ONCE = 5
const LEASE_SECONDS = 30
const TIMEOUT_MS = 10_000
const MAX_ATTEMPTS = 8
const MAX_DELAY_SECONDS = 900
const RETENTION_BATCH = 500

/** Seconds before the next try: doubling from half a minute, with up to 30 % jitter. */
export function retryDelay(attempts: number, random: number): number {
  return Math.min(MAX_DELAY_SECONDS, 30 * 2 ** (attempts - 1)) * (1 + 0.3 * random)
}

/** `v1=` and the hex HMAC-SHA256 of `<timestamp>.<body>`. */
export function signatureOf(secret: string, timestamp: number, body: string): string {
  return `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`
}

async function post(
  control: Control,
  delivery: DueDelivery,
): Promise<{ status: number | null; error: string | null }> {
  const { cipher } = control
  if (cipher === null) return { status: null, error: 'no secret store key' }
  const secret = cipher.open(delivery.secret_ct, columnAad.notificationSinkSecret).toString('utf8')
  const body = JSON.stringify(delivery.payload_json)
  const timestamp = Math.floor(Date.now() / 1000)
  try {
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
  } catch (error) {
    if (error instanceof EgressError)
      return { status: null, error: `the sink cannot be reached: ${error.reason}` }
    throw error
  }
}

/** Plain http is for a receiver on this very machine (control-api §7.17). */
export function isLoopback(url: string): boolean {
  const host = new URL(url).hostname
  return host === 'localhost' || host === '127.0.0.1' || host === '[::1]'
}

async function deliver(control: Control, delivery: DueDelivery): Promise<void> {
  const { status, error } = await post(control, delivery)
  const giveUp = error !== null && delivery.attempts >= MAX_ATTEMPTS
  const result: DeliveryResult = {
    status,
    error,
    retryInSeconds: error === null || giveUp ? null : retryDelay(delivery.attempts, Math.random()),
  }
  await control.db.transaction((tx) => settleDelivery(tx, delivery, result))
}

/** Several sinks at once, so that a slow one holds up only itself. */
async function deliverAll(
  control: Control,
  deliveries: readonly DueDelivery[],
  signal: AbortSignal,
): Promise<void> {
  const queue = [...deliveries]
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = queue.shift()
      if (next === undefined || signal.aborted) return
      await deliver(control, next)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** One pass; answers whether this process was the runner. The lock covers the bookkeeping, the lease the sending. */
async function notificationPass(control: Control, signal: AbortSignal): Promise<boolean> {
  const leads = await control.db.transaction(async (tx) => {
    if (!(await withXactTryLock(tx, LOCK))) return false
    for (const sink of await activeSinks(tx, MAX_SINKS)) await fanOut(tx, sink, EVENTS_PER_SINK)
    await deleteSettled(tx, RETENTION_BATCH)
    return true
  })
  if (!leads) return false
  const due = await claimDeliveries(control.db, DELIVERIES_PER_PASS, LEASE_SECONDS)
  await deliverAll(control, due, signal)
  return true
}

export function notificationJob(control: Control): Job {
  return {
    name: 'notification_dispatcher',
    intervalMs: 5000,
    run: async ({ signal }) => void (await notificationPass(control, signal)),
  }
}
