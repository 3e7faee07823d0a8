/** `caracal/sdk`: what an application that acts through agents needs. */
export { Authority, type DelegationConstraints, type NarrowOptions } from './authority.ts'
export type { SessionOptions } from './begin-session.ts'
export { Caracal } from './caracal.ts'
export type { CaracalConfig, ClientSecretOptions, DetectionOptions } from './configuration.ts'
export {
  type AuthorityDescription,
  type CaracalContext,
  captureContext,
  describeAuthority,
  type TokenSource,
} from './context.ts'
export type { HeartbeatStatus } from './coordinator.ts'
export type { DelegateOptions, Delegation } from './delegation.ts'
export type { HeaderSource } from './envelope.ts'
export {
  ApprovalRequiredError,
  CaracalError,
  CoordinatorError,
  CredentialsUnavailableError,
  isApprovalRequired,
} from './errors.ts'
export type { CaracalEvent, EventListener } from './events.ts'
export type { Credentials, CredentialsResolver, Exchanger, Identity } from './exchanger.ts'
export type { ResourceBinding } from './gateway-route.ts'
export { InboundAuthorizationError, type InboundOptions, type VerifiedClaims } from './inbound.ts'
export type { MintedMandate, MintOptions } from './mint-mandate.ts'
export type { ApprovalState } from './oauth/approvals.ts'
export type { AttachOptions, ServiceSession, ServiceSessionOptions } from './service-session.ts'
export type { SessionHook } from './task-session.ts'
export type { ApplicationTransportOptions, FetchFunction, TransportOptions } from './transport.ts'
