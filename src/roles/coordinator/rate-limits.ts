/** The windows of coordinator §1.2. A store of counters that cannot be reached lets requests through. */
import type { Context, MiddlewareHandler } from 'hono'
import { countRequest, type FixedWindow, fixedWindow } from '../../platform/http/rate-limit.ts'
import { requestContext } from '../../platform/http/request-context.ts'
import type { CoordinatorDeps } from './deps.ts'

type LimitDeps = Pick<CoordinatorDeps, 'ephemera' | 'settings'>

const perAddress = (c: Context, name: string): string => `coordinator:${name}:${requestContext(c).clientIp}`

const globalWindow = ({ ephemera, settings }: LimitDeps): FixedWindow => ({
  ephemera,
  limit: settings.COORDINATOR_RATE_LIMIT_PER_MIN,
  key: (c) => perAddress(c, 'global_rl'),
  onUnavailable: 'skip',
})

export const globalLimit = (deps: LimitDeps): MiddlewareHandler => fixedWindow(globalWindow(deps))

/** `/ready` is answered before the common limit is reached, so it counts both itself. */
export function readyLimit(deps: LimitDeps): MiddlewareHandler {
  const all = globalWindow(deps)
  const ready: FixedWindow = {
    ...all,
    limit: deps.settings.READY_RATE_LIMIT_PER_MIN,
    key: (c) => perAddress(c, 'ready_rl'),
  }
  return async (c, next) => {
    await countRequest(c, all)
    await countRequest(c, ready)
    await next()
  }
}

export const verifyLimit = ({ ephemera, settings }: LimitDeps): FixedWindow => ({
  ephemera,
  limit: settings.VERIFY_RATE_LIMIT_PER_MIN,
  key: (c) => perAddress(c, 'verify_rl'),
  onUnavailable: 'skip',
})

const invocationWindow = ({ ephemera, settings }: LimitDeps): FixedWindow => ({
  ephemera,
  limit: settings.INVOCATION_RATE_LIMIT_PER_MIN,
  key: (c) => {
    const caller = c.get('coordinatorCaller')
    return caller === undefined ? null : `coordinator:invocation_rl:${caller.zoneId}:${caller.clientId}`
  },
  onUnavailable: 'skip',
})

const invocationChange = /^\/zones\/[^/]+\/invocations\/[^/]+\/(?:start|cancel|complete)$/

/** Start, cancel and complete are counted before their body is read (coordinator §7.4). */
export function invocationLimit(deps: LimitDeps): MiddlewareHandler {
  const window = invocationWindow(deps)
  return async (c, next) => {
    if (c.req.method !== 'GET' && invocationChange.test(c.req.path)) await countRequest(c, window)
    await next()
  }
}

/** An enqueue is counted once it is known to be new. */
export const countEnqueue = (c: Context, deps: LimitDeps): Promise<void> =>
  countRequest(c, invocationWindow(deps))
