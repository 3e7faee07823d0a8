/** R6 and R7: the control resource is granted to control keys, without policy, and to nobody else. */
import { controlKeyGrants } from '../../control-key.ts'
import type { ResourceDefinition } from '../../definitions.ts'
import type { ExchangeDeps } from '../../exchange-deps.ts'
import type { Exchange } from '../../exchange-state.ts'
import { accessDenied } from '../../refusal.ts'

/** True when the resource was granted to a control key. Rejects with 403 for the control resource otherwise. */
export function grantToControlKey(x: Exchange, resource: ResourceDefinition, deps: ExchangeDeps): boolean {
  if (resource.identifier !== deps.controlAudience) return false
  if (controlKeyGrants(x.application, x.request, x.snapshot.now)) {
    deps.evidence.granted(x, 'control-key', { resource: resource.identifier })
    x.granted.push({ resource, byControlKey: true })
    return true
  }
  deps.evidence.denied(x, 'control_resource_requires_control_key', { resource: resource.identifier })
  throw accessDenied('the control resource requires a control key')
}
