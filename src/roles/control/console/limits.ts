/** How often an address or an operator may ask (sdk-cli-console §13.3). Nobody signs in while nobody can count. */
import type { Context } from 'hono'
import { countRequest } from '../../../platform/http/rate-limit.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { Control } from '../control.ts'
import { LONGEST_WAIT_SECONDS } from '../retry-after.ts'

const perMinute = { auth: 120, sign_in: 10, register: 5, reset: 5 } as const

/** Throws 429 `rate_limited`; 503 while the counters cannot be reached. */
export function limitAddress(c: Context, control: Control, what: keyof typeof perMinute): Promise<void> {
  return countRequest(c, {
    ephemera: control.ephemera,
    limit: perMinute[what],
    key: () => `api:console_${what}:${requestContext(c).clientIp}`,
    onUnavailable: 'refuse',
    retryAfterCap: LONGEST_WAIT_SECONDS,
  })
}

/** What the console asks of others than the management API, which counts for itself. */
export function limitOperator(c: Context, control: Control, operatorId: string): Promise<void> {
  return countRequest(c, {
    ephemera: control.ephemera,
    limit: control.settings.API_V1_RATE_LIMIT_PER_MIN,
    key: () => `api:console_rl:actor:${operatorId}`,
    onUnavailable: 'skip',
    retryAfterCap: LONGEST_WAIT_SECONDS,
  })
}
