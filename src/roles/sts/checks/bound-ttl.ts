/**
 * `ttl_seconds` within its bounds (sts §4.5), before anything is counted or held:
 * a doomed request must not consume rate budget or raise an approval hold.
 */
import type { Exchange, ExchangeRequest } from '../exchange-state.ts'
import { invalidToken } from '../refusal.ts'

export const defaultTtlSeconds = 900
const maxTtlWithSubjectToken = 900
const maxTtlWithoutSubjectToken = 3600

export function boundTtl(x: Exchange): void {
  assertTtlWithinBounds(x.request)
}

export function assertTtlWithinBounds(request: ExchangeRequest): void {
  const cap =
    request.subjectTokenType === 'urn:ietf:params:oauth:token-type:access_token'
      ? maxTtlWithSubjectToken
      : maxTtlWithoutSubjectToken
  if (request.ttlSeconds < 0) throw invalidToken('ttl_seconds must not be negative')
  if (request.ttlSeconds > cap) throw invalidToken(`ttl_seconds must not exceed ${cap}`)
}
