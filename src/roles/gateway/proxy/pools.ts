/**
 * One keep-alive pool per upstream origin (gateway §16), least recently used out
 * first. Every new connection asks the pinned lookup, so an address is judged in
 * the moment it is dialled. A turnstile stands before each pool, because the pool's own
 * queue knows neither a limit nor a deadline.
 */
import { LRUCache } from 'lru-cache'
import { Pool } from 'undici'
import type { EgressTrust } from '../../../platform/egress/trust.ts'
import type { AddressGuard } from './resolve.ts'
import type { UpstreamTarget } from './target.ts'
import { createTurnstile, type Turnstile } from './turnstile.ts'

export interface UpstreamPool {
  readonly pool: Pool
  readonly turnstile: Turnstile
}

export interface Pools extends AsyncDisposable {
  /** To be asked anew after a wait at the turnstile: the pool may have been replaced meanwhile. */
  for(target: UpstreamTarget): UpstreamPool
  /** Closes idle connections above the caps; what is in use stays. */
  trim(): void
}

/** Idle connections kept of one host, and of all hosts together. */
const idlePerHost = 100
const idleTotal = 200
const connectTimeoutMs = 5000
const idleMs = 90_000
const tcpKeepAliveMs = 30_000
/** A busy connection never falls idle; past this age it is replaced, so that a changed DNS answer is met. */
const maxAgeMs = 10 * 60_000
const maxPools = 1000

export interface PoolOptions {
  /** `UPSTREAM_MAX_CONNECTIONS`: to one host at a time; as many calls may wait for one. */
  readonly connectionsPerHost: number
  /** Milliseconds until the upstream's response headers. */
  readonly headersTimeoutMs: number
  /** Milliseconds between two pieces of a body; 0 disables. */
  readonly bodyTimeoutMs: number
  /** Trust roots for TLS upstreams; an unusable bundle closes all of them. */
  readonly trust: EgressTrust
}

export function createPools(guard: AddressGuard, options: PoolOptions): Pools {
  const pools = new LRUCache<string, UpstreamPool & { readonly openedAt: number }>({
    max: maxPools,
    dispose: ({ pool }) => {
      // Requests in flight finish; the pool takes no more.
      pool.close().catch(() => undefined)
    },
  })
  const connector = (target: UpstreamTarget): NonNullable<Pool.Options['connect']> => {
    const { trust } = options
    if (target.secure && !trust.ok) {
      return (_options, callback) => callback(new Error('no trust roots for TLS'), null)
    }
    return {
      lookup: guard.pinnedLookup(target.port),
      timeout: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelay: tcpKeepAliveMs,
      ...(trust.ok && trust.ca !== null ? { ca: [...trust.ca] } : {}),
    }
  }
  return {
    for(target) {
      const known = pools.get(target.origin)
      if (known !== undefined && performance.now() - known.openedAt < maxAgeMs) return known
      const pool = new Pool(target.origin, {
        connections: options.connectionsPerHost,
        pipelining: 1,
        keepAliveTimeout: idleMs,
        keepAliveMaxTimeout: idleMs,
        headersTimeout: options.headersTimeoutMs,
        bodyTimeout: options.bodyTimeoutMs,
        connect: connector(target),
      })
      const { connectionsPerHost } = options
      // Requests in flight on the pool before count until they end.
      const turnstile = known?.turnstile ?? createTurnstile(connectionsPerHost, connectionsPerHost)
      const upstream = { pool, turnstile, openedAt: performance.now() }
      pools.set(target.origin, upstream)
      return upstream
    },
    trim() {
      // Least recently used first. A host in use gives its connections back by their idle time.
      const idle = [...pools.entries()].reverse().map(([origin, { pool, turnstile }]) => {
        const { connected, running } = pool.stats
        return { origin, count: connected - running, inUse: turnstile.inside > 0 }
      })
      let total = idle.reduce((sum, { count }) => sum + count, 0)
      const closeWhere = (excess: (count: number) => boolean): void => {
        for (const { origin, count, inUse } of idle) {
          if (inUse || count === 0 || !excess(count)) continue
          if (pools.delete(origin)) total -= count
        }
      }
      closeWhere((count) => count > idlePerHost)
      closeWhere(() => total > idleTotal)
    },
    async [Symbol.asyncDispose]() {
      const open = [...pools.values()]
      await Promise.all(open.map(({ pool }) => pool.destroy()))
    },
  }
}
