/**
 * Audit events of this role (sts §12, audit-and-events §3.1–§3.3). A denial is
 * handed over and not waited for; an allow is waited for by the mandate it allows.
 * Ids and names only: no secret, no token text, no claims.
 */
import { uuidv7 } from '../../platform/ids.ts'
import type { CompleteDecision, FailedDecision } from '../../policy/index.ts'
import type { Accepted, AuditEvent, AuditSink, Boarded } from '../audit/index.ts'
import type { ApplicationDefinition } from './definitions.ts'
import { type Exchange, requireProof } from './exchange-state.ts'
import type { LoadedBundle } from './policy-bundles.ts'

export type Metadata = Readonly<Record<string, unknown>>

export interface EventFacts {
  readonly zoneId: string
  readonly requestId: string
  readonly type?: string
  readonly decision: string
  readonly status: string
  readonly policies?: readonly Metadata[]
  readonly diagnostics?: readonly Metadata[]
  readonly bundle?: LoadedBundle | null
  readonly metadata: Metadata
}

export interface Evidence {
  /** Resolves to where the event rests; never rejects. */
  emit(facts: EventFacts): Promise<Accepted>
  /** One denial of an exchange, with its application as base metadata. Not waited for. Throws `Unproven`. */
  denied(x: Exchange, status: string, metadata: Metadata): void
  /** One policy decision about one resource; an allow becomes evidence its mandate waits for, another throws `Unproven`. */
  decided(
    x: Exchange,
    resource: string,
    decision: CompleteDecision | FailedDecision,
    bundle: LoadedBundle,
  ): void
  /** A grant that no policy decided (control key, approvals); becomes evidence its mandate waits for. */
  granted(x: Exchange, policy: string, metadata: Metadata): void
  /** Any other event its mandate waits for. */
  told(x: Exchange, facts: EventFacts): void
  /** Sends what of the exchange's evidence is not on its way yet, and answers where each of it came to rest. */
  send(x: Exchange): Promise<Accepted>[]
  /** The exchange's evidence for a statement to carry, none of which is on its way yet; `null` when some is. */
  board(x: Exchange): Boarded[] | null
}

export function createEvidence(audit: AuditSink): Evidence {
  const emit = (facts: EventFacts): Promise<Accepted> => audit.emit(auditEvent(facts))

  const told = (x: Exchange, facts: EventFacts): void => {
    x.evidence.push({ event: auditEvent(facts), accepted: null })
  }

  const send = (x: Exchange): Promise<Accepted>[] =>
    x.evidence.map((pending) => {
      pending.accepted ??= audit.emit(pending.event)
      return pending.accepted
    })

  return {
    emit,

    denied(x, status, metadata) {
      requireProof(x)
      void send(x)
      void emit({
        zoneId: x.zoneId,
        requestId: x.request.requestId,
        decision: 'deny',
        status,
        metadata: { ...applicationMetadata(x.application), ...agentMetadata(x), ...metadata },
      })
    },

    decided(x, resource, decision, bundle) {
      const failed = decision.decision === 'error'
      const facts: EventFacts = {
        zoneId: x.zoneId,
        requestId: x.request.requestId,
        decision: failed ? 'deny' : decision.decision,
        status: decision.evaluation_status,
        policies: decision.determining_policies as readonly unknown[] as readonly Metadata[],
        diagnostics: decision.diagnostics as readonly unknown[] as readonly Metadata[],
        bundle,
        metadata: decisionMetadata(x, resource, bundle),
      }
      if (decision.decision === 'allow') {
        told(x, facts)
        return
      }
      requireProof(x)
      void emit(facts)
    },

    granted(x, policy, metadata) {
      told(x, {
        zoneId: x.zoneId,
        requestId: x.request.requestId,
        decision: 'allow',
        status: 'complete',
        policies: [{ policy }],
        metadata: { ...applicationMetadata(x.application), ...metadata },
      })
    },

    told,
    send,

    board(x) {
      if (x.evidence.some((pending) => pending.accepted !== null)) return null
      return x.evidence.map((pending) => {
        const boarded = audit.board(pending.event)
        return {
          entry: boarded.entry,
          arrived() {
            pending.accepted = Promise.resolve('bus')
            boarded.arrived()
          },
          leftBehind() {
            pending.accepted = boarded.leftBehind()
            return pending.accepted
          },
        }
      })
    },
  }
}

/** The wire event of these facts, with a fresh id and this moment. */
export function auditEvent(facts: EventFacts): AuditEvent {
  const { bundle } = facts
  return {
    id: uuidv7(),
    zone_id: facts.zoneId,
    event_type: facts.type ?? 'token_exchange',
    request_id: facts.requestId,
    decision: facts.decision,
    policy_set_id: bundle?.policySetId || undefined,
    policy_set_version_id: bundle?.policySetVersionId || undefined,
    manifest_sha: bundle?.manifestSha,
    evaluation_status: facts.status,
    determining_policies_json: facts.policies ?? [],
    diagnostics_json: facts.diagnostics ?? [],
    metadata_json: facts.metadata,
    occurred_at: new Date().toISOString(),
  }
}

export function applicationMetadata(application: ApplicationDefinition): Metadata {
  return {
    application_id: application.id,
    application_name: application.name,
    application_registration_method: application.registrationMethod,
  }
}

/**
 * The session that was refused, alive or not: what an agent tried in vain is found with what it did. Only a session of
 * the caller, so that nobody's evidence is filled by others who name it.
 */
function agentMetadata(x: Exchange): Metadata {
  const session = x.snapshot.sessions.find(({ id }) => id === x.agentSessionId)
  if (session?.application_id !== x.application.id) return {}
  return {
    agent_session_id: session.id,
    agent_labels: session.labels,
    ...(x.delegation === null ? {} : { delegation_edge_id: x.delegation.leaf.id }),
  }
}

/**
 * The names here are what explain reads back (sts §12.3). One literal, in which what is absent is undefined and
 * so left out of the JSON: put together from parts, an object of this many members costs hundreds of times more.
 */
function decisionMetadata(x: Exchange, resource: string, bundle: LoadedBundle): Metadata {
  const { application, session, delegation } = x
  return {
    application_id: application.id,
    application_name: application.name,
    application_registration_method: application.registrationMethod,
    resource,
    requested_scopes: x.request.requestedScopes,
    presented_scopes: x.presented === null ? undefined : scopesOf(x.presented.scope),
    method: x.request.gateway?.method,
    subject_kind: x.presented?.subType === 'user' ? 'user' : 'application',
    policy_set_version_id: bundle.policySetVersionId ?? undefined,
    manifest_sha: bundle.manifestSha,
    session_id: x.recordId ?? undefined,
    agent_session_id: x.agentSessionId ?? undefined,
    agent_lifecycle: session?.lifecycle,
    agent_labels: session?.labels,
    agent_depth: session?.depth,
    agent_parent_id: session?.parent_id ?? undefined,
    delegation_edge_id: delegation?.leaf.id,
    delegation_chain: delegation?.chain,
    delegation_hop_count: delegation?.lineage.length,
    delegation_graph_epoch: delegation?.epoch,
    delegation_scopes: delegation?.leaf.scopes,
  }
}

function scopesOf(scope: string): string[] {
  return scope === '' ? [] : scope.split(' ')
}

export function delegationMetadata(x: Exchange): Metadata {
  if (x.delegation === null) return {}
  return {
    delegation_edge_id: x.delegation.leaf.id,
    delegation_chain: x.delegation.chain,
    delegation_hop_count: x.delegation.lineage.length,
    delegation_graph_epoch: x.delegation.epoch,
    delegation_scopes: x.delegation.leaf.scopes,
  }
}
