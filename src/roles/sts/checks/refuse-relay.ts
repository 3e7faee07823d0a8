/** Step K: a subject token is traded only through the gateway. */
import type { Exchange } from '../exchange-state.ts'
import { accessDenied } from '../refusal.ts'

export function refuseRelay(x: Exchange): void {
  if (x.presented !== null && x.request.gateway === null) {
    throw accessDenied('a presented mandate must use the Gateway')
  }
}
