/**
 * Step B: an application trades its user's external id_token for a user session
 * mandate (sts §5.6). It names a person and carries no authority: no scope, no target.
 */
import { uuidv7 } from '../../../platform/ids.ts'
import { assertTtlWithinBounds, defaultTtlSeconds } from '../checks/bound-ttl.ts'
import { applicationMetadata } from '../evidence.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Exchange, ExchangeRequest } from '../exchange-state.ts'
import type { IssuedMandate } from '../issue.ts'
import { mandateClaims } from '../mint.ts'
import { invalidToken, unavailable } from '../refusal.ts'
import { writeIssue } from '../write-issue.ts'
import { type FederatedSubject, FederationRejected, verifyIdToken } from './verify-id-token.ts'

export async function federate(x: Exchange, deps: ExchangeDeps): Promise<IssuedMandate> {
  const { request } = x
  if (request.gateway !== null || asksForAuthority(request)) {
    deps.evidence.denied(x, 'subject_federation_invalid', {})
    throw invalidToken('a federation exchange takes no resource, scope, session, delegation or approval')
  }
  assertTtlWithinBounds(request)
  const subject = await verifiedSubject(x, deps)
  const ttl = request.ttlSeconds === 0 ? defaultTtlSeconds : request.ttlSeconds
  const issuedAt = Math.floor(x.snapshot.now / 1000)
  const recordId = uuidv7()
  const jti = uuidv7()
  deps.evidence.told(x, {
    zoneId: x.zoneId,
    requestId: request.requestId,
    decision: 'allow',
    status: 'complete',
    policies: [{ policy: 'caracal-subject-federation' }],
    metadata: {
      ...applicationMetadata(x.application),
      federated_user_issuer: subject.issuer,
      session_id: recordId,
      subject_kind: 'user',
    },
  })
  const record = {
    id: recordId,
    zoneId: x.zoneId,
    sessionType: 'user',
    subjectId: subject.sub,
    parentId: null,
    authenticatedAt: x.snapshot.now,
    expiresAt: (issuedAt + ttl) * 1000,
    claims: { iss: subject.issuer },
  } as const
  await writeIssue(x, { record, basis: null, jti, ttl }, deps)
  const signer = await deps.keys.signer(x.zoneId, x.snapshot)
  const accessToken = signer.sign(
    mandateClaims({
      issuer: deps.issuer,
      use: 'session',
      sub: subject.sub,
      subType: 'user',
      audience: [deps.issuer],
      issuedAt,
      expiresAt: issuedAt + ttl,
      jti,
      zoneId: x.zoneId,
      clientId: x.application.id,
      scope: '',
      sid: recordId,
      rootSid: recordId,
      target: [],
      agentSessionId: null,
      delegation: null,
    }),
  )
  return { accessToken: () => accessToken, expiresIn: ttl, scope: '', targetResources: [], upstreams: null }
}

function asksForAuthority(request: ExchangeRequest): boolean {
  return (
    request.resources.length > 0 ||
    request.scope !== '' ||
    request.sessionId !== null ||
    request.agentSessionId !== null ||
    request.delegationEdgeId !== null ||
    request.approvalId !== null
  )
}

async function verifiedSubject(x: Exchange, deps: ExchangeDeps): Promise<FederatedSubject> {
  try {
    return await verifyIdToken(x.request.subjectToken ?? '', x.zoneId, x.snapshot.now, {
      db: deps.db,
      keys: deps.issuerKeys,
    })
  } catch (error) {
    if (!(error instanceof FederationRejected)) throw unavailable('store is unavailable', error)
    deps.evidence.denied(x, 'subject_federation_rejected', { reason: error.message })
    throw invalidToken('invalid subject_token', 401, { detail: error.message })
  }
}
