/**
 * Steps M1–M7: turns a granted exchange into a mandate (sts §5.2).
 *
 * Hot path, second half: what must rest in the stores is written in one Postgres
 * round trip (`write-issue.ts`); the mandate leaves only when that has settled well.
 */
import { siblingId, uuidv7 } from '../../platform/ids.ts'
import { holdMetadata, type PresentedApproval } from './approvals/hold.ts'
import { DirectiveProblem } from './directive.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import type { Exchange } from './exchange-state.ts'
import { type MandateUse, mandateClaims } from './mint.ts'
import type { UpstreamDirective } from './port.ts'
import { approvalConsumed, credentialUnavailable } from './refusal.ts'
import type { LiveBasis, NewRecord } from './store/issue-records.ts'
import { judgeReissue, spendApproval } from './store/spend-approval.ts'
import { storeFailure } from './store-failure.ts'
import { mandateLife } from './ttl.ts'
import { assertInserted, writeBesideRecord, writeIssue } from './write-issue.ts'

export interface IssuedMandate {
  /** Signed when it is asked for: most upstreams get another credential, and the mandate for them is never seen. */
  readonly accessToken: () => string
  readonly expiresIn: number
  /** `''` when the mandate carries none. */
  readonly scope: string
  readonly targetResources: readonly string[]
  /** Only for a gateway. */
  readonly upstreams: Readonly<Record<string, UpstreamDirective>> | null
}

export async function issueMandate(x: Exchange, deps: ExchangeDeps): Promise<IssuedMandate> {
  const { issuedAt, expiresAt, expiresIn } = mandateLife(x)
  const use = mandateUse(x)
  const record = newRecord(x, expiresAt)
  // Its record, inserted once, keeps the id from being taken twice. What is issued again has the record, the id and
  // the times of before: it is the mandate that was lost and not one more, and can be spent once.
  const jti = siblingId(record.id)

  const issue = { record, basis: liveBasis(x), jti, ttl: expiresIn }
  if (x.approval === null) await writeIssue(x, issue, deps)
  else {
    // A hold is spent before anything else can fail or be told: everything above left it unspent.
    await useApproval(x, x.approval, record, deps)
    const registered = x.approval.reissue !== null
    await writeBesideRecord(x, issue, registered, deps)
  }

  const signer = await deps.keys.signer(x.zoneId, x.snapshot)
  const scope = x.request.scope !== '' || x.request.gateway === null ? x.request.scope : presentedScope(x)
  const target = x.granted.map(({ resource }) => resource.identifier)
  // Most mandates for a resource are seen by nobody: neither spelled nor signed before somebody asks.
  const accessToken = (): string => {
    const claims = mandateClaims({
      issuer: deps.issuer,
      use,
      sub: record.subjectId,
      subType: subjectType(x),
      audience: use === 'resource' ? target : [deps.issuer],
      issuedAt,
      expiresAt,
      jti,
      zoneId: x.zoneId,
      clientId: x.application.id,
      scope,
      sid: record.id,
      rootSid: x.presented?.rootSid ?? x.presented?.sid ?? record.id,
      target,
      agentSessionId: x.delegation === null ? null : x.agentSessionId,
      delegation: x.delegation,
    })
    const mandate = signer.sign(claims)
    if (use === 'gateway') deps.onGatewayMandate(mandate)
    return mandate
  }
  const upstreams = x.request.gateway === null ? null : await directives(x, deps)
  return { accessToken, expiresIn, scope, targetResources: target, upstreams }
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
    id: x.approval?.reissue?.id ?? uuidv7(),
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
      seen: edge.row_version,
      source: edge.source_session_id,
      target: edge.target_session_id,
    })),
    sessions: x.delegation?.sessionIds ?? [],
  }
}

/** Spends the hold together with the insert; a re-issue finds both done and is judged all the same (sts §8.4, §8.5). */
async function useApproval(
  x: Exchange,
  approval: PresentedApproval,
  record: NewRecord,
  deps: ExchangeDeps,
): Promise<void> {
  const reissued = approval.reissue !== null
  const basis = liveBasis(x)
  const judged = reissued
    ? judgeReissue(deps.db, record, basis)
    : spendApproval(deps.db, approval.hold, record, basis)
  const outcome = await judged.catch((error: unknown) => {
    throw storeFailure(error, 'authority record cannot be inserted')
  })
  if (outcome === 'already_consumed') {
    deps.evidence.denied(x, 'approval_already_consumed', holdMetadata(approval.hold))
    throw approvalConsumed()
  }
  assertInserted(x, outcome, deps)
  deps.evidence.told(x, {
    zoneId: x.zoneId,
    requestId: x.request.requestId,
    type: 'step_up_consumed',
    decision: 'consumed',
    status: 'complete',
    metadata: reissued
      ? { challenge_id: approval.hold.id, reissued: true, authority_record_id: record.id }
      : holdMetadata(approval.hold),
  })
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
