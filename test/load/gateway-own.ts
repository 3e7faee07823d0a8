/** What the gateway adds to a call by itself, by its own histograms: the exchange and the upstream are not its own. */
import type { ServerUnderLoad } from './server.ts'

interface Sums {
  readonly calls: number
  /** Seconds. */
  readonly own: number
}

export async function gatewaySums(server: ServerUnderLoad): Promise<Sums> {
  const text = await (await fetch(`${server.urls.gateway}/metrics`)).text()
  const total = (name: string): number =>
    [...text.matchAll(new RegExp(`^caracal_gateway_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    )
  return {
    calls: total('request_duration_seconds_count'),
    own:
      total('request_duration_seconds_sum') -
      total('sts_exchange_duration_seconds_sum') -
      total('upstream_duration_seconds_sum'),
  }
}

/** Milliseconds for each call between two looks, on average; null without calls. */
export function ownMs(before: Sums, after: Sums): number | null {
  const calls = after.calls - before.calls
  return calls === 0 ? null : ((after.own - before.own) * 1000) / calls
}
