/**
 * Who a request is made for that the console sends on to the management API within this process. Kept
 * beside the request and never in it: nothing that came over a wire can claim it.
 */
import type { Principal } from '../principal.ts'

const operators = new WeakMap<Request, Principal>()

/** Makes `principal` the caller of `request`. */
export function handOver(request: Request, principal: Principal): void {
  operators.set(request, principal)
}

/** Whom the console handed the request over for; `null` for every request that came from outside. */
export function operatorOf(request: Request): Principal | null {
  return operators.get(request) ?? null
}
