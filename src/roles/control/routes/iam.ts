/** The IAM collections at both their bases (control-api §12.2). */
import type { Route } from '../route.ts'
import { keyRoutes } from './api-keys.ts'
import type { Base } from './iam-base.ts'
import { bindingRoutes } from './role-bindings.ts'
import { roleRoutes } from './roles.ts'
import { accountRoutes } from './service-accounts.ts'

const collections = (base: Base, prefix: string, suffix: string): Route[] => [
  ...accountRoutes(base, prefix, suffix),
  ...roleRoutes(base, prefix, suffix),
  ...bindingRoutes(base, prefix, suffix),
  ...keyRoutes(base, prefix, suffix),
]

export const iamRoutes: readonly Route[] = [
  ...collections('deployment', '/v1', ''),
  ...collections('zone', '/v1/zones/{zoneId}', 'OfZone'),
]
