/** What role sts alone reads. */

import { boolean, integer, text, type Variable } from '../kinds.ts'

export const stsVariables = {
  STS_JWKS_REQUIRE_ZONE: boolean({
    default: false,
    roles: ['sts'],
    doc: 'JWKS without `zone_id` answers 400.',
  }),
  OPA_POLL_SECONDS: integer({
    default: 60,
    min: 1,
    max: 300,
    roles: ['sts'],
    doc: 'Interval of the policy poll.',
  }),
  STS_SECRET_VERIFY_CONCURRENCY: integer({
    default: 2,
    min: 1,
    max: 64,
    roles: ['sts', 'control', 'coordinator', 'audit'],
    doc: 'Password derivations at once.',
  }),
  STS_ADMIN_TOKEN: text({
    secret: true,
    roles: ['sts', 'control'],
    doc: 'Opens the key rotation route; unset hides it.',
  }),
  SIGNING_KEY_PUBLISH_AHEAD_SECONDS: integer({
    default: 600,
    min: 0,
    roles: ['sts'],
    doc: 'A rotated signing key is published this long before it signs.',
  }),
} satisfies Readonly<Record<string, Variable<unknown>>>
