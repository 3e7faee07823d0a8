/**
 * A token an authenticated application shows us to learn about it or to end it
 * (RFC 7662, RFC 7009): ours, of the application's zone, and what it rests on now.
 */
import type { Caller } from '../../../platform/crypto/port.ts'
import { parseCompact, verifySignature } from '../../../platform/jose/compact.ts'
import { recordAlive, sessionProblem } from '../alive.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { applicationOf } from '../exchange-form.ts'
import { accessTokenType, type Exchange, type ExchangeRequest } from '../exchange-state.ts'
import type { Form } from '../form.ts'
import { readDelegation } from '../lineage.ts'
import { openExchange } from '../open-exchange.ts'
import { invalidToken } from '../refusal.ts'
import { findApplicationAnywhere } from '../store/applications.ts'

export interface PresentedToken {
  readonly x: Exchange
  /** Verified claims, `null` when the token is not one of this zone's or has ended. */
  readonly claims: Readonly<Record<string, unknown>> | null
}

/** Authenticates the caller like a token request, save that its zone need not be named, and verifies `token`. */
export async function openPresentedToken(
  form: Form,
  requestId: string,
  deps: ExchangeDeps,
  caller: Caller,
): Promise<PresentedToken> {
  const token = (form.get('token') ?? '').trim()
  if (token === '') throw invalidToken('token is required')
  const applicationId = applicationOf(form)
  const zoneId = (form.get('zone_id') ?? '').trim() || (await zoneOf(applicationId, deps))
  const request = callerRequest(
    { requestId, zoneId, applicationId, clientSecret: form.get('client_secret') },
    token,
  )
  const x = await openExchange(request, deps, caller)
  return { x, claims: await verifiedClaims(x, token, deps) }
}

/** RFC 7662 and RFC 7009 know no zone. `''` when there is no such application: that is refused like a wrong secret. */
async function zoneOf(applicationId: string, deps: ExchangeDeps): Promise<string> {
  return (await findApplicationAnywhere(deps.db, applicationId))?.zone_id ?? ''
}

function callerRequest(
  caller: Pick<ExchangeRequest, 'requestId' | 'zoneId' | 'applicationId' | 'clientSecret'>,
  token: string,
): ExchangeRequest {
  return {
    ...caller,
    resources: [],
    scope: '',
    requestedScopes: [],
    subjectToken: token,
    subjectTokenType: accessTokenType,
    sessionId: null,
    agentSessionId: null,
    delegationEdgeId: null,
    ttlSeconds: 0,
    approvalId: null,
    gateway: null,
    verifiedClaims: null,
  }
}

async function verifiedClaims(
  x: Exchange,
  token: string,
  deps: ExchangeDeps,
): Promise<Readonly<Record<string, unknown>> | null> {
  const jws = parseCompact(token)
  if (jws === null) return null
  const { claims } = jws
  if (claims.iss !== deps.issuer || claims.zone_id !== x.zoneId) return null
  if (typeof claims.exp !== 'number' || claims.exp * 1000 <= x.snapshot.now) return null
  const key = await deps.keys.verificationKey(x.zoneId, jws.header.kid)
  return key !== null && verifySignature(jws, key) ? claims : null
}

/** True when everything the token rests on is alive: its application, and in the snapshot record, session, delegation. */
export async function restsOnLiveAuthority(
  x: Exchange,
  claims: Readonly<Record<string, unknown>>,
  deps: ExchangeDeps,
): Promise<boolean> {
  return liveInSnapshot(x, claims) && (await holderLives(x, claims.client_id, deps))
}

/** The caller is known to live; whoever else in the zone the token was issued to may have ended since. */
async function holderLives(x: Exchange, clientId: unknown, deps: ExchangeDeps): Promise<boolean> {
  if (clientId === x.application.id) return true
  if (typeof clientId !== 'string') return false
  const holder = await findApplicationAnywhere(deps.db, clientId)
  return holder?.zone_id === x.zoneId
}

function liveInSnapshot(x: Exchange, claims: Readonly<Record<string, unknown>>): boolean {
  const { record, sessions, now } = x.snapshot
  if (record === null || record.id !== claims.sid || !recordAlive(record, now)) return false
  if (record.subject_id !== claims.sub) return false
  const { agent_session_id: sessionId, delegation_edge_id: edgeId, client_id: clientId } = claims
  if (sessionId === undefined && edgeId === undefined) return true
  if (typeof sessionId !== 'string' || typeof clientId !== 'string') return false
  const session = sessions.find((candidate) => candidate.id === sessionId)
  if (session === undefined || sessionProblem(session, now) !== null) return false
  if (typeof edgeId !== 'string') return edgeId === undefined
  return !(
    'broken' in
    readDelegation({ snapshot: x.snapshot, edgeId, agentSessionId: sessionId, applicationId: clientId })
  )
}
