/** The claims of a mandate (sts §4.3): optional ones are omitted, never null or empty. */
import type { Delegation } from './exchange-state.ts'

export type MandateUse = 'session' | 'gateway' | 'resource'

export interface MandateFacts {
  readonly issuer: string
  readonly use: MandateUse
  readonly sub: string
  readonly subType: 'application' | 'user'
  /** Resource classes: the granted identifiers; otherwise the issuer. */
  readonly audience: readonly string[]
  /** Unix seconds. */
  readonly issuedAt: number
  readonly expiresAt: number
  readonly jti: string
  readonly zoneId: string
  readonly clientId: string
  readonly scope: string
  readonly sid: string
  readonly rootSid: string
  readonly target: readonly string[]
  readonly agentSessionId: string | null
  readonly delegation: Delegation | null
}

/** The claims of a mandate. One literal, in which what is absent is undefined and so left out of the JSON. */
export function mandateClaims(facts: MandateFacts): Record<string, unknown> {
  const { delegation } = facts
  const path = delegation?.lineage.map((edge) => edge.id)
  return {
    iss: facts.issuer,
    sub: facts.sub,
    aud: facts.audience,
    exp: facts.expiresAt,
    iat: facts.issuedAt,
    jti: facts.jti,
    zone_id: facts.zoneId,
    client_id: facts.clientId,
    scope: facts.scope === '' ? undefined : facts.scope,
    sid: facts.sid,
    root_sid: facts.rootSid,
    use: facts.use,
    sub_type: facts.subType,
    target: facts.target.length === 0 ? undefined : facts.target,
    agent_session_id: facts.agentSessionId ?? undefined,
    delegation_edge_id: delegation?.leaf.id,
    source_session_id: delegation?.leaf.source_session_id,
    target_session_id: delegation?.leaf.target_session_id,
    delegation_path: path,
    delegation_chain: delegation?.chain,
    hop_count: path?.length,
    delegation_graph_epoch: delegation !== null && delegation.epoch > 0 ? delegation.epoch : undefined,
  }
}
