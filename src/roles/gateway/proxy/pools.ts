/**
 * One keep-alive pool per upstream origin (gateway §16), least recently used out
 * first. Every new connection asks the pinned lookup, so an address is judged in
 * the moment it is dialled.
 */
import { LRUCache } from 'lru-cache'
import { Pool } from 'undici'
import type { EgressTrust } from '../../../platform/egress/trust.ts'
import type { AddressGuard } from './resolve.ts'
import type { UpstreamTarget } from './target.ts'

export interface Pools extends AsyncDisposable {
  for(target: UpstreamTarget): Pool
}

const connectionsPerHost = 200
const connectTimeoutMs = 5000
const idleMs = 90_000
const tcpKeepAliveMs = 30_000
const maxPools = 1000

export interface PoolOptions {
  /** Milliseconds until the upstream's response headers. */
  readonly headersTimeoutMs: number
  /** Milliseconds between two pieces of a body; 0 disables. */
  readonly bodyTimeoutMs: number
  /** Trust roots for TLS upstreams; an unusable bundle closes all of them. */
  readonly trust: EgressTrust
}

export function createPools(guard: AddressGuard, options: PoolOptions): Pools {
  const pools = new LRUCache<string, Pool>({
    max: maxPools,
    dispose: (pool) => {
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
      if (known !== undefined) return known
      const pool = new Pool(target.origin, {
        connections: connectionsPerHost,
        pipelining: 1,
        keepAliveTimeout: idleMs,
        keepAliveMaxTimeout: idleMs,
        headersTimeout: options.headersTimeoutMs,
        bodyTimeout: options.bodyTimeoutMs,
        connect: connector(target),
      })
      pools.set(target.origin, pool)
      return pool
    },
    async [Symbol.asyncDispose]() {
      const open = [...pools.values()]
      await Promise.all(open.map((pool) => pool.destroy()))
    },
  }
}
