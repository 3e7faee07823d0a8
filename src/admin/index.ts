/** `caracal/admin`: automation of the control plane. */
export {
  AdminClient,
  type AdminClientOptions,
  type AuthorityRecordRow,
  type GrantFilter,
  type Row,
  type SessionRow,
} from './admin-client.ts'
export {
  ControlClient,
  ControlClientError,
  type ControlClientOptions,
  type Invocation,
  scopeOf,
} from './control-client.ts'
export { AdminApiError, type Query } from './http.ts'
export {
  type ApplicationGrant,
  authorGrantsDocument,
  providerIdentifier,
  resourceIdentifier,
} from './identifiers.ts'
export {
  type Ensured,
  type EnsuredPolicySet,
  ensureActivePolicySet,
  ensureApiKeyProvider,
  ensureApplication,
  ensureClientCredentialsProvider,
  ensureGovernedUpstreams,
  ensureGrants,
  ensureResource,
  type GovernedUpstream,
  type WantedPolicySet,
  type WantedProvider,
  type WantedResource,
  waitUntilLoaded,
} from './reconcile.ts'
