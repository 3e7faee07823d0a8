/**
 * What other roles may ask of the STS. In one process this is the STS itself;
 * in a split deployment `stsOverHttp` answers with the same types over the
 * signed exchange of gateway §9 and the JWKS route. Only `server/` knows which.
 */
import type { JWK } from 'jose'
import type { ClaimOutcome, OneUse } from '../../platform/ephemera/port.ts'

export { type HoldMetadata, holdMetadata } from './approvals/hold.ts'
export { operationShape } from './declared-operations.ts'
export { addFirstZoneKey } from './zone-key.ts'

/** A gateway presents a verified, one-use `use=gateway` mandate and asks for the resource side. */
export interface GatewayExchangeRequest {
  readonly requestId: string
  readonly zoneId: string
  /** `client_id` claim of the mandate. */
  readonly applicationId: string
  /** The compact mandate as presented. */
  readonly mandate: string
  /** Claims of `mandate`, verified in this process; the STS may then skip a second signature check. Absent over HTTP. */
  readonly verifiedClaims?: Readonly<Record<string, unknown>>
  /** `X-Caracal-Resource`. */
  readonly resource: string
  readonly method: string
  /** Decoded path, no query. */
  readonly path: string
  readonly traceparent?: string
}

/** How to authenticate to the upstream (gateway §9.2). Private: never logged, never shown to the caller. */
export interface UpstreamDirective {
  readonly url: string
  readonly auth_mode: 'none' | 'caracal_jwt' | 'provider_oauth' | 'provider_apikey'
  readonly auth_location?: 'header' | 'query'
  readonly auth_header?: string
  readonly query_param_name?: string
  readonly auth_scheme?: string
  readonly allowed_token_hosts?: readonly string[]
  readonly provider_token?: string
  readonly provider_id?: string
  readonly connection_id?: string
  readonly forward_caracal_identity?: boolean
  /** No path was judged, so an escaped slash need not become a real one. */
  readonly transport_uniform?: boolean
  readonly expires_at?: number
}

export type GatewayExchangeResult =
  | {
      readonly ok: true
      /** The `use=resource` mandate; never empty. Signed when it is asked for. */
      readonly accessToken: () => string
      readonly expiresIn: number
      readonly scope?: string
      readonly targetResources: readonly string[]
      readonly upstreams: Readonly<Record<string, UpstreamDirective>>
    }
  | {
      readonly ok: false
      readonly status: number
      readonly error: string
      readonly description: string
      /** Further public members of the error body (approval hold, `Retry-After` seconds). */
      readonly details?: Readonly<Record<string, unknown>>
      readonly retryAfterSeconds?: number
    }

/** Thrown by an HTTP implementation when the STS cannot be asked; never by the in-process one for a denial. */
export class StsUnreachable extends Error {
  override readonly name = 'StsUnreachable'
  readonly kind: 'timeout' | 'transport' | 'invalid_response' | 'cancelled'
  constructor(kind: 'timeout' | 'transport' | 'invalid_response' | 'cancelled', message: string) {
    super(message)
    this.kind = kind
  }
}

/** The policy bundle the STS decides with for one zone (sts §6.8). */
export interface PolicyStatus {
  readonly zone_id: string
  readonly loaded: boolean
  /** Absent for the deny-all bundle, whose `manifest_sha256` is `no_active_policy_set`. */
  readonly policy_set_version_id?: string
  readonly manifest_sha256?: string
  /** RFC 3339. */
  readonly loaded_at?: string
  readonly age_seconds?: number
}

/** A supplied bundle and one input of sts §6.1; nothing of it is stored. */
export interface PolicySimulation {
  readonly policy_set_id: string
  readonly version_id: string
  readonly manifest_sha256: string
  readonly policies: readonly { readonly id: string; readonly content: string }[]
  readonly input: Readonly<Record<string, unknown>>
}

/** The answer of the fixed decision function (sts §6.5). */
export interface PolicyResult {
  readonly decision: 'allow' | 'deny'
  readonly evaluation_status: 'complete'
  readonly determining_policies: readonly { readonly policy: string }[]
  readonly diagnostics: readonly Readonly<Record<string, unknown>>[]
}

export type PolicySimulationResult =
  | {
      readonly ok: true
      readonly policy_set_id: string
      readonly version_id: string
      readonly manifest_sha256: string
      readonly result: PolicyResult
    }
  | {
      readonly ok: false
      /** 400 empty or malformed bundle, 422 bad document, unsupported schema version or evaluation error. */
      readonly status: 400 | 422
      readonly error: 'invalid_token' | 'policy_eval_failed'
      readonly description: string
    }

/**
 * Thrown to a gateway that left the claim of a mandate's one use to its exchange, when that claim was not the first.
 * `unknown`: it could not be made, or what became of it was never answered.
 */
export class UseNotClaimed extends Error {
  override readonly name = 'UseNotClaimed'
  readonly outcome: Exclude<ClaimOutcome, 'fresh'> | 'unknown'
  constructor(outcome: UseNotClaimed['outcome'], cause?: unknown) {
    super(`the use of the mandate was not claimed: ${outcome}`, { cause })
    this.outcome = outcome
  }
}

export interface Sts {
  /** Trades one verified gateway mandate for a resource mandate and the upstream directive. Rejects only with `StsUnreachable`. */
  exchangeForGateway(request: GatewayExchangeRequest, signal: AbortSignal): Promise<GatewayExchangeResult>
  /**
   * In one process: begins to read for an exchange that may follow, and answers `exchangeForGateway` of
   * that same call. Nothing is decided or written before; one that is never asked for costs a read.
   */
  readAhead?(request: GatewayExchangeRequest): Sts['exchangeForGateway']
  /**
   * In one process and one store: `exchangeForGateway` of a mandate whose one use is still to be claimed, which its
   * write does in passing. Rejects with `UseNotClaimed` as well: then nothing was decided. `null` where that would save
   * nothing: then the claim comes first.
   */
  exchangeOnce?(request: GatewayExchangeRequest, use: OneUse): Sts['exchangeForGateway'] | null
  /** In one process: whether this STS signed the token with this SHA-256 (hex) a moment ago. */
  signedHere?(digest: string): boolean
  /** Public signing keys of a zone (current, upcoming and within overlap); `null` for an unknown zone. Rejects when it cannot be known. */
  zoneKeys(zoneId: string): Promise<readonly JWK[] | null>
  /** Resolves when the STS answers its health check. */
  ping(): Promise<void>
  /** The bundle in force for a zone, loading it first when the zone is not known yet. Rejects when it cannot be known. */
  policyStatus(zoneId: string): Promise<PolicyStatus>
  /** Decides one input against a supplied bundle: no side effects, no metrics. Rejects only with `StsUnreachable`. */
  simulatePolicy(simulation: PolicySimulation): Promise<PolicySimulationResult>
}
