/**
 * R4: where a resource enforces operations, the gateway's method and path must be a
 * declared operation and the mandate must carry its scope (sts §5.5). Policy can only
 * narrow further.
 */
import { operationsOf } from '../../declared-operations.ts'
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'
import { operationNotPermitted } from '../../refusal.ts'

export function assertOperationFloor(x: Exchange, resource: ResourceDefinition, deps: ExchangeDeps): void {
  const { gateway } = x.request
  if (gateway === null || resource.operationEnforcement !== 'enforced') return
  const method = gateway.method.trim().toUpperCase()
  const path = gateway.path.trim()
  const declared = operationsOf(resource.operations, method, path)
  const carried = (x.presented?.scope ?? '').split(/\s+/)
  if (declared.some((operation) => carried.includes(operation.scope))) return
  deps.evidence.denied(x, 'operation_not_permitted', { resource: resource.identifier, method, path })
  const [operation] = declared
  throw operationNotPermitted(
    operation === undefined
      ? `${method} ${path} is not a declared operation of ${resource.identifier}; declare it or set operation_enforcement to transport_uniform`
      : `${method} ${path} on ${resource.identifier} requires scope ${operation.scope}`,
  )
}
