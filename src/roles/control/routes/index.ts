/** Every management operation. A path without parameters comes before one that would swallow it. */
import type { Route } from '../route.ts'
import { applicationRoutes } from './applications.ts'
import { auditRoutes } from './audit.ts'
import { policyRoutes } from './policies.ts'
import { policySetRoutes } from './policy-sets.ts'
import { providerRoutes } from './providers.ts'
import { resourceRoutes } from './resources.ts'
import { zoneRoutes } from './zones.ts'

export const managementRoutes: readonly Route[] = [
  ...zoneRoutes,
  ...applicationRoutes,
  ...providerRoutes,
  ...resourceRoutes,
  ...policyRoutes,
  ...policySetRoutes,
  ...auditRoutes,
]
