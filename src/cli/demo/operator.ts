/** What an operator does once: a zone, an application, a credential, a resource and a policy. */
import { setTimeout as sleep } from 'node:timers/promises'
import { mustCall, text } from './http.ts'

export const resource = 'resource://inventory'
export const readScope = 'inventory:read'
export const writeScope = 'inventory:write'

export interface Setup {
  readonly zoneId: string
  readonly applicationId: string
  readonly clientSecret: string
  readonly policySetId: string
}

export interface Operator {
  readonly controlUrl: string
  readonly adminToken: string
}

/** Creates everything over the control API and returns once the policy is loaded. */
export async function setUp(
  operator: Operator,
  upstream: { readonly url: string; readonly apiKey: string },
  name: string,
): Promise<Setup> {
  const post = (path: string, json: unknown) =>
    mustCall(`${operator.controlUrl}/v1${path}`, { method: 'POST', bearer: operator.adminToken, json })

  const zoneId = text(await post('/zones', { name }), 'id')
  const zone = `/zones/${zoneId}`
  const application = await post(`${zone}/applications`, {
    name: 'stock-agent',
    registration_method: 'managed',
  })
  const applicationId = text(application, 'id')
  const provider = await post(`${zone}/providers`, {
    name: 'Inventory key',
    kind: 'api_key',
    config_json: {
      auth_location: 'header',
      header_name: 'X-Api-Key',
      api_key: upstream.apiKey,
      allowed_token_hosts: [new URL(upstream.url).hostname],
    },
  })
  await post(`${zone}/resources`, {
    name: 'Inventory',
    identifier: resource,
    upstream_url: upstream.url,
    scopes: [readScope, writeScope],
    credential_provider_id: text(provider, 'id'),
    operations: [
      { method: 'GET', path: '/items', scope: readScope },
      { method: 'POST', path: '/items', scope: writeScope },
    ],
    operation_enforcement: 'enforced',
  })
  const policy = await post(`${zone}/policies`, { name: 'inventory', content: policyFor(applicationId) })
  const set = await post(`${zone}/policy-sets`, { name: 'default' })
  const policySetId = text(set, 'id')
  const version = await post(`${zone}/policy-sets/${policySetId}/versions`, {
    manifest: [{ policy_version_id: text(policy, 'version_id') }],
  })
  const activation = await post(`${zone}/policy-sets/${policySetId}/activate`, {
    version_id: text(version, 'version_id'),
  })
  await waitUntilLoaded(operator, text(activation, 'status_url'))
  return { zoneId, applicationId, clientSecret: text(application, 'client_secret'), policySetId }
}

/** The whole policy of the demo: data, default deny around it. */
function policyFor(applicationId: string): string {
  const grants = { [resource]: { application: 'agent', roles: { [applicationId]: [readScope, writeScope] } } }
  return [
    '# caracal:data-document',
    'package caracal.authz',
    '',
    `app_ids := {"agent": ${JSON.stringify(applicationId)}}`,
    '',
    `grants := ${JSON.stringify(grants)}`,
    '',
  ].join('\n')
}

async function waitUntilLoaded(operator: Operator, statusUrl: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    const status = await mustCall(`${operator.controlUrl}${statusUrl}`, { bearer: operator.adminToken })
    if (status.body.propagation_status === 'loaded') return
    if (status.body.propagation_status === 'failed') break
    await sleep(20)
  }
  throw new Error('the policy set was not loaded within 10 s')
}
