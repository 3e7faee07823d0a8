import { maxTokenLength } from '../../../platform/jose/compact.ts'
import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 3: bounds the work that follows. */
export const bearerSize: Check = (call) =>
  call.bearer.length > maxTokenLength ? denials.bearerTooLarge : null
