/** The worker's side of a server in several processes: where it stands, and whom it asks about the others. */
import type { Hono } from 'hono'
import { pathOf } from '../../platform/http/incoming.ts'
import { type Exposition, mergeMetrics } from '../merge-metrics.ts'

export interface Seat {
  /** 1-based. */
  readonly number: number
  /** Metrics of the same listener in the other workers; those that do not answer in time are left out. */
  readonly others: (listener: string) => Promise<readonly Exposition[]>
}

/** `/metrics` of every worker, each sample with its `worker`, for whoever may read this one's. */
export function withEveryWorker(
  app: Pick<Hono, 'fetch'>,
  listener: string,
  { number, others }: Seat,
): Pick<Hono, 'fetch'> {
  const every = async (own: Response | Promise<Response>): Promise<Response> => {
    const response = await own
    if (response.status !== 200) return response
    const here = { name: String(number), text: await response.text() }
    const there = await others(listener)
    const all = [here, ...there].sort((a, b) => Number(a.name) - Number(b.name))
    const type = response.headers.get('content-type') ?? 'text/plain'
    return new Response(mergeMetrics(all, 'worker', true), { headers: { 'content-type': type } })
  }
  return {
    fetch(request, env, context) {
      const answer = app.fetch(request, env, context)
      return pathBehind(env) === '/metrics' ? every(answer) : answer
    },
  }
}

function pathBehind(env: unknown): string {
  const { incoming } = (env ?? {}) as { readonly incoming?: { readonly url?: string } }
  return pathOf(incoming?.url ?? '')
}
