/** What the gateway adds to a call by itself, by its own histogram: neither the exchange nor the upstream. */
import type { ServerUnderLoad } from './server.ts'

/** Calls so far that took at most so many seconds, by bound. */
export type Added = ReadonlyMap<number, number>

export async function gatewayAdded(server: ServerUnderLoad): Promise<Added> {
  const text = await (await fetch(`${server.urls.gateway}/metrics`)).text()
  const buckets = text.matchAll(/^caracal_gateway_added_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)
  return new Map(
    [...buckets].map(([, bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), Number(count)]),
  )
}

/** Median milliseconds of the calls between two looks, interpolated within its bucket; null without calls. */
export function medianAddedMs(before: Added, after: Added): number | null {
  const counts = [...after].map(([bound, count]) => ({ bound, count: count - (before.get(bound) ?? 0) }))
  const half = (counts.at(-1)?.count ?? 0) / 2
  if (half === 0) return null
  let below = { bound: 0, count: 0 }
  for (const bucket of counts) {
    if (bucket.count >= half) {
      const share = (half - below.count) / (bucket.count - below.count)
      return (below.bound + share * (bucket.bound - below.bound)) * 1000
    }
    below = bucket
  }
  return null
}
