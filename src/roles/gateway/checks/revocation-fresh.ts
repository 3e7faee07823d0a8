import { denials } from '../denial.ts'
import type { Check } from './check.ts'

/** Step 1: without a fresh picture of what is revoked nothing passes (gateway §8.2). */
export const revocationFresh: Check = (_call, { snapshot }) =>
  snapshot.fresh() ? null : denials.revocationStale
