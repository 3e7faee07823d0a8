import type { IncomingMessage } from 'node:http'
import { utf8Of } from '../../../platform/http/incoming.ts'
import { idPattern } from '../../../platform/ids.ts'
import { mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import { textClaim } from '../mandate.ts'
import type { Check } from './check.ts'

/** Step 6: who calls follows from the mandate, never from a header. */
export const clientIdAbsent: Check = (call) =>
  (call.request.headers['x-caracal-client-id'] ?? '') === '' ? null : denials.clientIdHeader

/** Step 7: names the resource; with repeated headers the first counts. Routing data, not authority. */
export const resourceNamed: Check = (call) => {
  call.resource = utf8Of(firstResource(call.request)).trim()
  return call.resource === '' ? denials.missingResource : null
}

/** Step 8. */
export const zoneClaimed: Check = (call) => {
  call.zoneId = textClaim(mandateOf(call).claims, 'zone_id')
  return idPattern.test(call.zoneId) ? null : denials.missingZone
}

/** Step 9. */
export const clientClaimed: Check = (call) => {
  call.applicationId = textClaim(mandateOf(call).claims, 'client_id')
  return idPattern.test(call.applicationId) ? null : denials.missingClient
}

function firstResource(request: IncomingMessage): string {
  const joined = request.headers['x-caracal-resource']
  if (typeof joined !== 'string') return ''
  // Node joins repeated headers with a comma, which an identifier may hold too; the split list costs more.
  return joined.includes(',') ? (request.headersDistinct['x-caracal-resource']?.[0] ?? '') : joined
}
