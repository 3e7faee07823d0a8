/**
 * scrypt off the event loop, a few at a time (storage-and-operations §9.3): each
 * derivation holds 32 MiB and a thread, so a burst of logins must wait in line
 * instead of filling memory and the thread pool. A caller that leaves gives up its place.
 */
import { scrypt } from 'node:crypto'
import { CaracalError } from '../errors.ts'

export interface ScryptParameters {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
}

export interface DerivationQueue {
  /** 32 bytes. Rejects with the signal's reason on abort before the start, with 503 when the line is full. */
  derive(
    secret: string,
    salt: Uint8Array,
    parameters: ScryptParameters,
    signal?: AbortSignal,
  ): Promise<Buffer>
}

const hashBytes = 32
const maxMemory = 64 * 1024 * 1024

/** `concurrency` derivations at once, at most `capacity` callers waiting behind them. */
export function createDerivationQueue(concurrency: number, capacity = 1024): DerivationQueue {
  const waiting = new Set<() => void>()
  let running = 0

  function acquire(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (running < concurrency) {
      running += 1
      return Promise.resolve()
    }
    if (waiting.size >= capacity) {
      throw new CaracalError('sts_unavailable', {
        status: 503,
        message: 'credential verification is saturated',
        headers: { 'retry-after': '1' },
      })
    }
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        waiting.delete(enter)
        reject(signal?.reason)
      }
      waiting.add(enter)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  /** Hands the place to the next in line, so `running` never dips below what is promised. */
  function release(): void {
    const next = waiting.values().next().value
    if (next === undefined) {
      running -= 1
      return
    }
    waiting.delete(next)
    next()
  }

  return {
    async derive(secret, salt, parameters, signal) {
      await acquire(signal)
      try {
        return await new Promise<Buffer>((resolve, reject) => {
          scrypt(
            secret,
            salt,
            hashBytes,
            {
              N: parameters.cost,
              r: parameters.blockSize,
              p: parameters.parallelization,
              maxmem: maxMemory,
            },
            (error, derived) => (error ? reject(error) : resolve(derived)),
          )
        })
      } finally {
        release()
      }
    },
  }
}
