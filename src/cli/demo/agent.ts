/**
 * What an agent's application does: the exact requests of the v1 SDKs' "hello protected
 * call" (sdk-cli-console §2), written out so that each can be told.
 */
import { randomUUID } from 'node:crypto'
import { type Answer, call, mustCall, text } from './http.ts'
import { resource } from './operator.ts'

export interface AgentUrls {
  readonly sts: string
  readonly coordinator: string
  readonly gateway: string
}

export interface Agent {
  /** Proves the application and asks for a lifecycle mandate. */
  bootstrap(): Promise<string>
  startSession(lifecycleMandate: string): Promise<string>
  delegate(lifecycleMandate: string, from: string, to: string, scopes: readonly string[]): Promise<string>
  /** Asks for a one-use gateway mandate under a delegation; any status is an answer. */
  mint(session: string, delegation: string, scope: string): Promise<Answer>
  /** Calls the resource through the gateway; any status is an answer. */
  fetch(mandate: string, method: string, path: string): Promise<Answer>
  endSession(lifecycleMandate: string, session: string): Promise<Answer>
}

export interface Identity {
  readonly zoneId: string
  readonly applicationId: string
  readonly clientSecret: string
}

const ttlSeconds = 900

export function createAgent(urls: AgentUrls, identity: Identity): Agent {
  const { zoneId, applicationId, clientSecret } = identity
  const zoneUrl = `${urls.coordinator}/zones/${zoneId}`
  const exchange = (fields: Readonly<Record<string, string>>) =>
    call(`${urls.sts}/oauth/2/token`, {
      method: 'POST',
      form: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        zone_id: zoneId,
        application_id: applicationId,
        resource,
        client_secret: clientSecret,
        ...fields,
      }),
    })

  return {
    async bootstrap() {
      const answer = await exchange({ scope: 'agent:lifecycle' })
      if (answer.status !== 200)
        throw new Error(`bootstrap answered ${answer.status} ${JSON.stringify(answer.body)}`)
      return text(answer, 'access_token')
    },
    async startSession(bearer) {
      const answer = await mustCall(`${zoneUrl}/agents`, {
        method: 'POST',
        bearer,
        headers: { 'idempotency-key': randomUUID() },
        json: { application_id: applicationId, ttl_seconds: ttlSeconds + 120, labels: [applicationId] },
      })
      return text(answer, 'agent_session_id')
    },
    async delegate(bearer, from, to, scopes) {
      const answer = await mustCall(`${zoneUrl}/delegations`, {
        method: 'POST',
        bearer,
        json: {
          issuer_application_id: applicationId,
          source_session_id: from,
          target_session_id: to,
          receiver_application_id: applicationId,
          scopes,
          constraints: { resources: [resource] },
          ttl_seconds: ttlSeconds + 120,
        },
      })
      return text(answer, 'delegation_edge_id')
    },
    mint: (session, delegation, scope) =>
      exchange({
        agent_session_id: session,
        delegation_edge_id: delegation,
        scope,
        ttl_seconds: String(ttlSeconds),
      }),
    fetch: (bearer, method, path) =>
      call(`${urls.gateway}${path}`, { method, bearer, headers: { 'x-caracal-resource': resource } }),
    endSession: (bearer, session) => call(`${zoneUrl}/agents/${session}`, { method: 'DELETE', bearer }),
  }
}

/** The claims of a compact JWT, unverified: for showing, never for deciding. */
export function claimsOf(mandate: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(mandate.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<
    string,
    unknown
  >
}
