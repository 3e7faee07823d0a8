/**
 * What one exchange knows while it passes the checks. A check reads what earlier
 * ones established and adds its own finding; nothing here outlives the request.
 */
import type { Counter } from '../../platform/ephemera/port.ts'
import type { TraceContext } from '../../platform/observe/trace.ts'
import type { Accepted, AuditEvent } from '../audit/index.ts'
import type { ApprovalGate, PresentedApproval } from './approvals/hold.ts'
import type { Constraints } from './constraints.ts'
import type { ApplicationDefinition, ResourceDefinition } from './definitions.ts'
import type { UpstreamToken } from './directive.ts'
import type { PendingUse } from './pending-use.ts'
import type { LoadedBundle } from './policy-bundles.ts'
import type { Premise } from './store/issue-records.ts'
import type { EdgeState, RecordState, SessionState, Snapshot } from './store/snapshot.ts'

export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
export const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const lifecycleScope = 'agent:lifecycle'

/** The request after the handler stage (sts §5.1): well-formed, not yet believed. */
export interface ExchangeRequest {
  readonly requestId: string
  /** `''` only for a zone-less control exchange. */
  readonly zoneId: string
  readonly applicationId: string
  readonly clientSecret: string | null
  /** Trimmed, distinct, byte-sorted. */
  readonly resources: readonly string[]
  /** The raw `scope` string: what gets minted. */
  readonly scope: string
  /** `scope` split on whitespace: order and duplicates kept. */
  readonly requestedScopes: readonly string[]
  readonly subjectToken: string | null
  readonly subjectTokenType: typeof accessTokenType | typeof idTokenType | null
  readonly sessionId: string | null
  readonly agentSessionId: string | null
  readonly delegationEdgeId: string | null
  /** 0 = default. */
  readonly ttlSeconds: number
  readonly approvalId: string | null
  /** Present when a gateway proved itself: the operation it is about to perform. */
  readonly gateway: { readonly method: string; readonly path: string } | null
  /** Claims of `subjectToken` when its signature was checked in this process. */
  readonly verifiedClaims: Readonly<Record<string, unknown>> | null
  /** The span that asked, while spans are exported. */
  readonly trace?: TraceContext | null
}

/** A mandate of ours that was presented as subject token and verified. */
export interface PresentedMandate {
  readonly claims: Readonly<Record<string, unknown>>
  readonly use: 'session' | 'gateway'
  readonly sub: string
  readonly subType: string
  readonly sid: string
  readonly rootSid: string | null
  /** The `scope` claim, `''` when absent. */
  readonly scope: string
  readonly issuedAt: number
}

/** A validated delegation: leaf edge, its lineage root to leaf, and what it proves. */
export interface Delegation {
  readonly leaf: EdgeState
  readonly constraints: Constraints
  readonly lineage: readonly EdgeState[]
  /** Every session on the lineage, for the recheck at insert. */
  readonly sessionIds: readonly string[]
  readonly chain: readonly ChainHop[]
  readonly epoch: number
}

export interface ChainHop {
  readonly application_id: string
  readonly agent_session_id?: string
  readonly delegation_edge_id?: string
}

/** A remembered reason why an upstream credential is missing (sts §5.4 R8, step J). */
export interface ProviderProblem {
  readonly code: 'access_denied' | 'credential_expired_not_renewable' | 'sts_unavailable'
  readonly message: string
}

interface GrantedResource {
  readonly resource: ResourceDefinition
  /** Granted to a control key without policy (sts §5.8). */
  readonly byControlKey: boolean
}

export interface PendingEvidence {
  readonly event: AuditEvent
  /** `null` until it is on its way. */
  accepted: Promise<Accepted> | null
}

/** Decided on what was remembered, the exchange cannot be answered: it must be decided again, on a snapshot. */
export class Unproven extends Error {
  override readonly name = 'Unproven'
  /** Whether the premise was found fallen; otherwise it was not asked. */
  readonly disproved: boolean
  constructor(disproved: boolean) {
    super(disproved ? 'what was remembered is outdated' : 'the exchange rests on what was remembered')
    this.disproved = disproved
  }
}

/** Before anything but a mandate comes of an exchange. Throws `Unproven` while it rests on what was remembered. */
export function requireProof(x: Exchange): void {
  if (x.premise !== null) throw new Unproven(false)
}

export interface Exchange {
  readonly request: ExchangeRequest
  /** What the exchange was decided on without reading it; `null` on a snapshot, and once the write has proved it. */
  premise: Premise | null
  /** The one use of the presented mandate, where its claim was left to the exchange. */
  readonly pendingUse: PendingUse | null
  readonly snapshot: Snapshot
  readonly zoneId: string
  readonly application: ApplicationDefinition
  /** Resolved definitions by requested name; absent when there is no such resource. */
  readonly resources: ReadonlyMap<string, ResourceDefinition>

  presented: PresentedMandate | null
  /** Effective ids after the presented mandate was taken into account. */
  recordId: string | null
  record: RecordState | null
  agentSessionId: string | null
  delegationEdgeId: string | null
  session: SessionState | null
  delegation: Delegation | null

  bundle: LoadedBundle | null
  approval: PresentedApproval | null
  readonly gates: ApprovalGate[]
  readonly granted: GrantedResource[]
  firstReason: string | null
  providerProblem: ProviderProblem | null
  /** Connection tokens found for this exchange, by resource row id. */
  readonly upstreamTokens: Map<string, UpstreamToken>
  /** Uses of the mint limit, by key: each is counted once, however often the request is decided. */
  readonly counted: Map<string, Counter>
  /** Requested resources that fell to the mint limit, and the longest wait among them. */
  rateLimited: { count: number; remainingMs: number }

  /** Allow events; the mandate leaves only when all of them rest in the bus or the journal. */
  readonly evidence: PendingEvidence[]
}
