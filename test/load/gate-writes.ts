/** Writing needs an operator's approval from now on; everything over the control API. */
import { setTimeout as sleep } from 'node:timers/promises'
import { mustCall, text } from '../../src/cli/demo/http.ts'
import { readScope, resource, type Setup, writeScope } from '../../src/cli/demo/operator.ts'
import type { Addresses } from './scene.ts'

export async function gateWrites({ urls, adminToken }: Addresses, setup: Setup): Promise<void> {
  const { zoneId, applicationId, policySetId } = setup
  const zone = `${urls.control}/v1/zones/${zoneId}`
  const post = (path: string, json: unknown) =>
    mustCall(`${zone}${path}`, { method: 'POST', bearer: adminToken, json })
  const roles = { [applicationId]: [readScope, writeScope] }
  const content = [
    '# caracal:data-document',
    'package caracal.authz',
    '',
    `app_ids := {"agent": ${JSON.stringify(applicationId)}}`,
    `grants := ${JSON.stringify({ [resource]: { application: 'agent', roles } })}`,
    `risk := ${JSON.stringify([{ scope: writeScope, tier: 'money' }])}`,
    `approval_tiers := ${JSON.stringify([{ tier: 'money' }])}`,
    '',
  ].join('\n')
  const policy = await post('/policies', { name: 'gated inventory', content })
  const version = await post(`/policy-sets/${policySetId}/versions`, {
    manifest: [{ policy_version_id: text(policy, 'version_id') }],
  })
  const activation = await post(`/policy-sets/${policySetId}/activate`, {
    version_id: text(version, 'version_id'),
  })
  const statusUrl = `${urls.control}${text(activation, 'status_url')}`
  for (let tries = 0; tries < 500; tries += 1) {
    const { body } = await mustCall(statusUrl, { bearer: adminToken })
    if (body.propagation_status === 'loaded') return
    await sleep(20)
  }
  throw new Error('the gated policy set was not loaded within 10 s')
}
