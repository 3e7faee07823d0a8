/** Every management operation. A path without parameters comes before one that would swallow it. */
import type { Route } from '../route.ts'
import { adminTokenRoutes } from './admin-tokens.ts'
import { applicationRoutes } from './applications.ts'
import { approvalRoutes } from './approvals.ts'
import { auditRoutes } from './audit.ts'
import { auditReceiptRoutes } from './audit-receipts.ts'
import { authRoutes } from './auth.ts'
import { connectionRoutes } from './connections.ts'
import { grantRoutes } from './grants.ts'
import { iamRoutes } from './iam.ts'
import { limitRoutes } from './limits.ts'
import { overviewRoutes } from './overview.ts'
import { policyRoutes } from './policies.ts'
import { policySetRoutes } from './policy-sets.ts'
import { providerRoutes } from './providers.ts'
import { resourceRoutes } from './resources.ts'
import { runtimeRoutes } from './runtime.ts'
import { sinkRoutes } from './sinks.ts'
import { subjectIssuerRoutes } from './subject-issuers.ts'
import { subjectRoutes } from './subjects.ts'
import { workloadRoutes } from './workloads.ts'
import { zoneRoutes } from './zones.ts'

export const managementRoutes: readonly Route[] = [
  ...authRoutes,
  ...adminTokenRoutes,
  ...iamRoutes,
  ...limitRoutes,
  ...zoneRoutes,
  ...overviewRoutes,
  ...applicationRoutes,
  ...workloadRoutes,
  ...providerRoutes,
  ...connectionRoutes,
  ...resourceRoutes,
  ...policyRoutes,
  ...policySetRoutes,
  ...grantRoutes,
  ...subjectIssuerRoutes,
  ...subjectRoutes,
  ...approvalRoutes,
  ...sinkRoutes,
  ...auditRoutes,
  ...auditReceiptRoutes,
  ...runtimeRoutes,
]
