/**
 * One refresh at a time across replicas (gateway §25.4): a lease decides who works, the
 * others wait for the published result. The lease is renewed while its holder works and
 * released only by it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { sha256Hex } from '../../../platform/crypto/hmac.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import { uuidv4 } from '../../../platform/ids.ts'
import type { StsCounters } from '../metrics.ts'
import { UpstreamTokenError } from './upstream-token-error.ts'

const leaseMs = 15_000
const renewEveryMs = 5_000
const resultMs = 5_000
const waitStepMs = 50

interface Published {
  readonly ok: boolean
  readonly code?: UpstreamTokenError['code']
  readonly description?: string
}

/** Runs `refresh` here, or waits until another process did. Rejects with `UpstreamTokenError`. */
export async function refreshOnce(
  ephemera: Ephemera,
  connectionId: string,
  counters: StsCounters,
  refresh: () => Promise<void>,
): Promise<void> {
  const base = `provider-refresh:${sha256Hex(`connection\0${connectionId}`)}`
  const deadline = performance.now() + leaseMs
  let waited = false
  for (;;) {
    const lease = uuidv4()
    if (await ask(() => ephemera.setIfAbsent(`${base}:lock`, lease, leaseMs))) {
      counters.providerRefreshLeased += 1
      return holdLease(ephemera, base, lease, refresh)
    }
    if (!waited) counters.providerRefreshWaited += 1
    waited = true
    const result = await ask(() => ephemera.get(`${base}:result`))
    if (result !== null) return takeResult(result)
    if (performance.now() > deadline) {
      throw new UpstreamTokenError('sts_unavailable', 'credential refresh took too long', true)
    }
    await pause(waitStepMs + Math.random() * waitStepMs)
  }
}

async function holdLease(
  ephemera: Ephemera,
  base: string,
  lease: string,
  refresh: () => Promise<void>,
): Promise<void> {
  const renewal = setInterval(() => {
    ephemera.extendIfEquals(`${base}:lock`, lease, leaseMs).catch(() => undefined)
  }, renewEveryMs)
  let outcome: Published
  let failure: unknown = null
  try {
    // What an earlier refresh left must not be taken for this one's.
    await ask(() => ephemera.delete(`${base}:result`))
    await refresh()
    outcome = { ok: true }
  } catch (error) {
    failure = error
    outcome =
      error instanceof UpstreamTokenError
        ? { ok: false, code: error.code, description: error.message }
        : { ok: false, code: 'sts_unavailable', description: 'credential refresh failed' }
  } finally {
    clearInterval(renewal)
  }
  await ephemera.set(`${base}:result`, JSON.stringify(outcome), resultMs).catch(() => undefined)
  await ephemera.deleteIfEquals(`${base}:lock`, lease).catch(() => undefined)
  if (failure !== null) throw failure
}

function takeResult(text: string): void {
  const result = JSON.parse(text) as Published
  if (!result.ok) {
    throw new UpstreamTokenError(
      result.code ?? 'sts_unavailable',
      result.description ?? 'credential refresh failed',
    )
  }
}

async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch {
    throw new UpstreamTokenError('sts_unavailable', 'refresh coordination is unavailable', true)
  }
}
