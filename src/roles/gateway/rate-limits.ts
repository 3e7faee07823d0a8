/**
 * Fixed one-minute windows per key in this process, in front of everything that
 * costs (signature, replay memory, exchange). They protect the process, not a quota:
 * N gateways admit N times the limit. 0 is no limit.
 */
import { LRUCache } from 'lru-cache'

export interface RateLimits {
  /** Counts one request; the seconds to wait when it is over the limit, else 0. */
  admitIp(ip: string): number
  admitApplication(zoneId: string, applicationId: string): number
  /** Counts one replay of a mandate that the replay memory refused. */
  countReplay(digest: string): void
  /** Whether a mandate was replayed so often within the minute that it is refused without asking again. */
  isWornOut(digest: string): boolean
}

export interface RateLimitOptions {
  readonly perIpPerMinute: number
  readonly perApplicationPerMinute: number
  readonly now?: () => number
}

const windowMs = 60_000
const maxKeys = 50_000
const replaysPerMinute = 20

interface Window {
  endsAt: number
  count: number
}

export function createRateLimits(options: RateLimitOptions): RateLimits {
  const now = options.now ?? (() => performance.now())
  const limiter = (limit: number): ((key: string) => number) => {
    if (limit === 0) return () => 0
    const windows = new LRUCache<string, Window>({ max: maxKeys })
    return (key) => {
      const instant = now()
      let window = windows.get(key)
      if (window === undefined || window.endsAt <= instant) {
        window = { endsAt: instant + windowMs, count: 0 }
        windows.set(key, window)
      }
      window.count += 1
      return window.count <= limit ? 0 : Math.max(1, Math.ceil((window.endsAt - instant) / 1000))
    }
  }
  const replays = new LRUCache<string, Window>({ max: maxKeys })
  const liveReplays = (digest: string): Window | undefined => {
    const window = replays.get(digest)
    return window !== undefined && window.endsAt > now() ? window : undefined
  }
  const byIp = limiter(options.perIpPerMinute)
  const byApplication = limiter(options.perApplicationPerMinute)
  return {
    admitIp: byIp,
    admitApplication: (zoneId, applicationId) => byApplication(`${zoneId}\n${applicationId}`),
    countReplay(digest) {
      const window = liveReplays(digest)
      if (window === undefined) replays.set(digest, { endsAt: now() + windowMs, count: 1 })
      else window.count += 1
    },
    isWornOut: (digest) => (liveReplays(digest)?.count ?? 0) >= replaysPerMinute,
  }
}
