import { denials } from '../denial.ts'
import { decodePath, traverses } from '../proxy/path.ts'
import type { Check } from './check.ts'

/** Step 10: a path that climbs, or cannot be decoded, is refused at any depth of encoding (gateway §13.1). */
export const pathTraversal: Check = (call) => {
  const path = decodePath(call.rawPath)
  if (path === null || traverses(path)) return denials.pathTraversal
  call.path = path
  return null
}
