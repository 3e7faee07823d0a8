/**
 * Steps M1–M7: turns a granted exchange into a mandate (sts §5.2).
 *
 * Hot path, second half: one group-committed insert, one ephemera trip and the
 * evidence travel side by side after the decision; the mandate leaves only when all
 * three have settled well. Budget: one Postgres round trip.
 */

import { EphemeraUnavailable } from '../../platform/ephemera/port.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { holdMetadata, type PresentedApproval } from './approvals/hold.ts'
import { DirectiveProblem } from './directive.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import type { Exchange } from './exchange-state.ts'
import { type MandateUse, mandateClaims } from './mint.ts'
import type { UpstreamDirective } from './port.ts'
import {
  accessDenied,
  approvalConsumed,
  credentialUnavailable,
  internalError,
  unavailable,
} from './refusal.ts'
import type { Issued, LiveBasis, NewRecord } from './store/issue-records.ts'
import { spendApproval } from './store/spend-approval.ts'
import { storeFailure } from './store-failure.ts'
import { mandateTtl } from './ttl.ts'

export interface IssuedMandate {
  readonly accessToken: string
  readonly expiresIn: number
  /** `''` when the mandate carries none. */
  readonly scope: string
  readonly targetResources: readonly string[]
  /** Only for a gateway. */
  readonly upstreams: Readonly<Record<string, UpstreamDirective>> | null
}

export async function issueMandate(x: Exchange, deps: ExchangeDeps): Promise<IssuedMandate> {
  const ttl = mandateTtl(x)
  const issuedAt = Math.floor(x.snapshot.now / 1000)
  const use = mandateUse(x)
  const record = newRecord(x, issuedAt + ttl)
  const jti = uuidv7()

  // A hold is spent before anything else can fail or be told: everything above left it unspent.
  if (x.approval !== null) await useApproval(x, x.approval, record, deps)
  await settleAll([
    ...(x.approval === null ? [insertRecord(x, record, liveBasis(x), deps)] : []),
    registerJti(x, jti, ttl, deps),
    ...x.evidence.map(awaitEvidence),
  ])

  const signer = await deps.keys.signer(x.zoneId, x.snapshot)
  const scope = x.request.scope !== '' || x.request.gateway === null ? x.request.scope : presentedScope(x)
  const target = x.granted.map(({ resource }) => resource.identifier)
  const accessToken = signer.sign(
    mandateClaims({
      issuer: deps.issuer,
      use,
      sub: record.subjectId,
      subType: subjectType(x),
      audience: use === 'resource' ? target : [deps.issuer],
      issuedAt,
      expiresAt: issuedAt + ttl,
      jti,
      zoneId: x.zoneId,
      clientId: x.application.id,
      scope,
      sid: record.id,
      rootSid: x.presented?.rootSid ?? x.presented?.sid ?? record.id,
      target,
      agentSessionId: x.delegation === null ? null : x.agentSessionId,
      delegation: x.delegation,
    }),
  )
  const upstreams = x.request.gateway === null ? null : await directives(x, deps)
  return { accessToken, expiresIn: ttl, scope, targetResources: target, upstreams }
}

/** sts §4.1. A control mandate is of the resource class. */
function mandateUse(x: Exchange): MandateUse {
  if (x.request.gateway !== null) return 'resource'
  if (x.granted.some((grant) => grant.byControlKey)) return 'resource'
  return x.delegation === null ? 'session' : 'gateway'
}

function subjectType(x: Exchange): 'application' | 'user' {
  return x.presented?.subType === 'user' ? 'user' : 'application'
}

function presentedScope(x: Exchange): string {
  return x.presented?.scope ?? ''
}

function newRecord(x: Exchange, expiresAt: number): NewRecord {
  return {
    id: x.approval?.reissueRecordId ?? uuidv7(),
    zoneId: x.zoneId,
    sessionType: subjectType(x),
    subjectId: x.presented?.sub ?? x.application.id,
    parentId: x.presented?.sid ?? null,
    authenticatedAt: x.snapshot.now,
    expiresAt: expiresAt * 1000,
    claims: null,
  }
}

/** What has to be alive when the record commits: the lineage with its sessions, and the presented record. */
function liveBasis(x: Exchange): LiveBasis | null {
  if (x.delegation === null && x.presented === null) return null
  return {
    records: x.presented === null ? [] : [x.presented.sid],
    edges: (x.delegation?.lineage ?? []).map((edge) => ({
      id: edge.id,
      parent: edge.parent_edge_id,
      version: edge.edge_version,
      source: edge.source_session_id,
      target: edge.target_session_id,
    })),
    sessions: x.delegation?.sessionIds ?? [],
  }
}

/** Spends the hold together with the insert; a re-issue finds both done (sts §8.4, §8.5). */
async function useApproval(
  x: Exchange,
  approval: PresentedApproval,
  record: NewRecord,
  deps: ExchangeDeps,
): Promise<void> {
  const reissued = approval.reissueRecordId !== null
  if (!reissued) {
    const outcome = await spendApproval(deps.db, approval.hold, record, liveBasis(x)).catch(
      (error: unknown) => {
        throw storeFailure(error, 'authority record cannot be inserted')
      },
    )
    if (outcome === 'already_consumed') {
      deps.evidence.denied(x, 'approval_already_consumed', holdMetadata(approval.hold))
      throw approvalConsumed()
    }
    assertInserted(x, outcome, deps)
  }
  x.evidence.push(
    deps.evidence.emit({
      zoneId: x.zoneId,
      requestId: x.request.requestId,
      type: 'step_up_consumed',
      decision: 'consumed',
      status: 'complete',
      metadata: reissued
        ? { challenge_id: approval.hold.id, reissued: true, authority_record_id: record.id }
        : holdMetadata(approval.hold),
    }),
  )
}

/** Rejects with 403 when the basis died meanwhile. */
export async function insertRecord(
  x: Exchange,
  record: NewRecord,
  basis: LiveBasis | null,
  deps: ExchangeDeps,
): Promise<void> {
  const outcome = await deps.issueRecord(record, basis).catch((error: unknown) => {
    throw storeFailure(error, 'authority record cannot be inserted')
  })
  assertInserted(x, outcome, deps)
}

function assertInserted(x: Exchange, outcome: Issued, deps: ExchangeDeps): void {
  if (outcome === 'inserted') return
  deps.evidence.denied(x, 'reference_invalid', { reason: outcome })
  if (outcome === 'refused') throw internalError('authority record was refused by the store')
  throw accessDenied('authority ended while the mandate was issued')
}

/** sts §5.7: guards against id collisions, not against replay. */
export async function registerJti(x: Exchange, jti: string, ttl: number, deps: ExchangeDeps): Promise<void> {
  let fresh: boolean
  try {
    const value = `${x.application.id}|${Math.floor(x.snapshot.now / 1000)}`
    fresh = await deps.ephemera.setIfAbsent(`audit:jti:${jti}`, value, ttl * 1000)
  } catch (error) {
    if (error instanceof EphemeraUnavailable) throw unavailable('token registry is unavailable', error)
    throw internalError('token cannot be registered', error)
  }
  if (fresh) return
  void deps.evidence.emit({
    zoneId: x.zoneId,
    requestId: x.request.requestId,
    type: 'jti_collision',
    decision: 'deny',
    status: 'anomaly',
    metadata: { jti, app_id: x.application.id, request_id: x.request.requestId },
  })
  throw internalError('token id collision')
}

export async function awaitEvidence(accepted: Promise<'bus' | 'journal' | 'lost'>): Promise<void> {
  if ((await accepted) === 'lost') throw unavailable('evidence cannot be kept')
}

/** Waits for all before the first failure is reported: nothing goes on behind a refused exchange. */
export async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work)
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

async function directives(
  x: Exchange,
  deps: ExchangeDeps,
): Promise<Readonly<Record<string, UpstreamDirective>>> {
  const upstreams: Record<string, UpstreamDirective> = {}
  for (const { resource } of x.granted) {
    try {
      upstreams[resource.identifier] = await deps.credentials.directive(
        resource,
        x.upstreamTokens.get(resource.id) ?? null,
      )
    } catch (error) {
      if (!(error instanceof DirectiveProblem)) throw error
      deps.evidence.denied(x, 'provider_credential_unavailable', {
        resource: resource.identifier,
        reason: error.message,
      })
      throw credentialUnavailable(`credential of ${resource.identifier} is unavailable: ${error.message}`)
    }
  }
  return upstreams
}
