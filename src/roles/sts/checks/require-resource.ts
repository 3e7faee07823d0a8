/** Step C: an exchange names at least one resource. */
import type { Exchange } from '../exchange-state.ts'
import { invalidToken } from '../refusal.ts'

export function requireResource(x: Exchange): void {
  if (x.request.resources.length === 0) throw invalidToken('at least one resource is required')
}
