/** `caracal/sdk/advanced`: the parts, for those who build their own clients. */
export { wireConstraints } from './authority.ts'
export { configDirectory } from './config/directory.ts'
export { copyContext, currentContext, runInContext } from './context.ts'
export {
  type CallContext,
  type CoordinatorClient,
  type CoordinatorOptions,
  type CreateDelegationBody,
  type CreatedDelegation,
  createCoordinatorClient,
  type InboundDelegation,
  isGone,
  type Lease,
  type StartedSession,
  type StartSessionBody,
} from './coordinator.ts'
export { decodeEnvelope, type Envelope, encodeEnvelope, extractBearer, parseTraceparent } from './envelope.ts'
export { createSecretExchanger } from './exchanger.ts'
export { climbs, type GatewayRoute, gatewayUrlFor, routeToGateway } from './gateway-route.ts'
export { decodeJwt } from './jwt.ts'
export { type DecideApprovalOptions, type PollApprovalOptions, pollApprovalState } from './oauth/approvals.ts'
export {
  type ExchangeRequest,
  type FederationRequest,
  OAuthClient,
  type OAuthClientOptions,
} from './oauth/client.ts'
export type { Mandate } from './oauth/token-cache.ts'
