import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 2: `Authorization: Bearer <mandate>`, any case, trimmed. */
export const bearerPresent: Check = (call) => {
  const header = call.request.headers.authorization ?? ''
  if (header.length <= 7 || header.slice(0, 7).toLowerCase() !== 'bearer ') return denials.missingBearer
  call.bearer = header.slice(7).trim()
  return call.bearer === '' ? denials.missingBearer : null
}
