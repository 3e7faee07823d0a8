import { describe, expect, test } from 'vitest'
import { csvCell, toCsv } from '../../../src/platform/csv.ts'
import { propagationOf } from '../../../src/roles/control/activation-status.ts'
import { retryDelay, signatureOf } from '../../../src/roles/control/deliver-notifications.ts'
import { explainRequest } from '../../../src/roles/control/explain-request.ts'
import { createBuckets } from '../../../src/roles/control/invoke/bucket.ts'
import { controlScopes } from '../../../src/roles/control/invoke/scopes.ts'
import { policyInputOf } from '../../../src/roles/control/policy-input.ts'
import { parseProviderConfig } from '../../../src/roles/control/provider-config.ts'
import { firstFree, slugOf } from '../../../src/roles/control/slug.ts'

describe('names', () => {
  test('slugs are lower-case words; a taken one is numbered', () => {
    expect(slugOf(' My  Zone! ', 'zone')).toBe('my-zone')
    expect(slugOf('日本', 'zone')).toBe('zone')
    expect(firstFree('a', new Set(['a', 'a-2']))).toBe('a-3')
  })
})

describe('CSV', () => {
  test('formulas are defused, separators quoted, lists joined', () => {
    expect(csvCell('=1+1')).toBe("'=1+1")
    expect(csvCell('\t=1')).toBe("'\t=1")
    expect(csvCell('a,"b"')).toBe('"a,""b"""')
    expect(toCsv(['a'], [{ a: ['x', 'y'] }])).toBe('a\r\nx y\r\n')
    expect(toCsv(['a'], [{ a: null }, { a: new Date(0) }])).toBe('a\r\n\r\n1970-01-01T00:00:00.000Z\r\n')
  })
})

describe('the bucket of a Control key', () => {
  test('holds its capacity and refills continuously', () => {
    let now = 0
    const wait = createBuckets(60, 60_000, () => now)
    const burst = Array.from({ length: 61 }, () => wait('k'))
    expect(burst.filter((ms) => ms === 0)).toHaveLength(60)
    expect(burst[60]).toBe(1000)
    now = 1000
    expect([wait('k'), wait('k'), wait('other')]).toEqual([0, 1000, 0])
  })

  test('there are thirty scopes to give', () => {
    expect(controlScopes).toHaveLength(30)
    expect(new Set(controlScopes).size).toBe(30)
  })
})

describe('deliveries', () => {
  test('wait longer each time, never over fifteen minutes and a bit', () => {
    expect([1, 2, 3, 8].map((attempts) => retryDelay(attempts, 0))).toEqual([30, 60, 120, 900])
    expect(retryDelay(8, 1)).toBeCloseTo(1170)
  })

  test('carry a signature a receiver can compute', () => {
    expect(signatureOf('nsk_x', 1, '{}')).toMatch(/^v1=[0-9a-f]{64}$/)
    expect(signatureOf('nsk_x', 1, '{}')).not.toBe(signatureOf('nsk_x', 2, '{}'))
  })
})

describe('propagation', () => {
  const outbox = { id: 'o', state: 'dispatched', attempts: 1, last_error: null, dispatched_at: null } as const

  test('names the first thing that is missing', () => {
    expect(propagationOf(false, outbox, { state: 'loaded' })).toBe('waiting_for_activation')
    expect(propagationOf(true, { ...outbox, state: 'dead' }, { state: 'loaded' })).toBe('failed')
    expect(propagationOf(true, { ...outbox, state: 'pending' }, { state: 'loaded' })).toBe(
      'waiting_for_outbox',
    )
    expect(propagationOf(true, outbox, { state: 'not_loaded' })).toBe('waiting_for_sts')
    expect(propagationOf(true, outbox, { state: 'loaded' })).toBe('loaded')
  })
})

describe('provider configuration', () => {
  const refused = (kind: Parameters<typeof parseProviderConfig>[0], config: Record<string, unknown>) => {
    try {
      parseProviderConfig(kind, config)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
  const client = { token_endpoint: 'https://idp.test/t', client_id: 'c' }

  test('stores its defaults and parts secrets from the rest', () => {
    expect(parseProviderConfig('oauth2_client_credentials', { ...client, client_secret: 's' })).toEqual({
      public: {
        ...client,
        grant_type: 'client_credentials',
        client_auth_method: 'client_secret_basic',
        allowed_token_hosts: ['idp.test'],
      },
      secrets: { client_secret: 's' },
    })
  })

  test('refuses what does not go together, and never repeats a value', () => {
    expect(
      refused('oauth2_client_credentials', { ...client, grant_type: 'jwt_bearer', audience: 'a' }),
    ).toContain('audience')
    expect(
      refused('oauth2_client_credentials', { ...client, client_secret: 's', assertion_subject: 'x' }),
    ).toContain('assertion_subject')
    expect(
      refused('oauth2_client_credentials', {
        ...client,
        client_auth_method: 'private_key_jwt',
        client_secret: 's',
      }),
    ).toContain('client_secret')
    expect(
      refused('oauth2_client_credentials', {
        ...client,
        token_endpoint: 'http://idp.test',
        client_secret: 's',
      }),
    ).toContain('https')
    expect(
      refused('oauth2_client_credentials', { ...client, client_secret: 's', token_params: { code: 'x' } }),
    ).toContain('code')
    expect(
      refused('api_key', { api_key: 'k', auth_location: 'query', query_param_name: 'q', auth_scheme: 'X' }),
    ).toContain('auth_scheme')
    expect(refused('api_key', { api_key: 'Token k', header_name: 'X', auth_scheme: 'Token' })).toContain(
      'scheme',
    )
    expect(refused('none', { a: 1 })).toContain('a')
    expect(refused('bearer_token', { bearer_token: 'Bearer very-secret' })).not.toContain('very-secret')
  })

  test('sealed secrets stand in for missing ones only when the kind stays', () => {
    expect(parseProviderConfig('api_key', { header_name: 'X' }, ['api_key']).secrets).toEqual({})
    expect(refused('api_key', { header_name: 'X' })).toContain('api_key')
  })
})

test('a refusal counts as one however its decision is spelled', () => {
  const event = {
    id: 'e',
    zone_id: 'z',
    event_type: 'token_exchange',
    request_id: 'r',
    decision: 'DENY',
    policy_set_id: null,
    policy_set_version_id: null,
    manifest_sha: null,
    evaluation_status: 'complete',
    determining_policies_json: [],
    diagnostics_json: [],
    metadata_json: { application_registration_method: 'dcr' },
    occurred_at: new Date(0),
    ingested_at: new Date(0),
  }
  const explained = explainRequest('z', 'r', [event, { ...event, decision: 'allow' }])
  expect(explained).toMatchObject({
    final_decision: 'deny',
    denied: [{ policy_input: { principal: { registration_method: 'dcr' } } }],
  })
})

test('a launch that was denied explains itself as the workload it was', () => {
  const metadata = { workload_id: 'w', resource: 'resource://r', requested_scopes: ['r:read'], env: 'KEY' }
  expect(policyInputOf('z', metadata)).toEqual({
    schema_version: '2026-05-20',
    principal: { type: 'Workload', id: 'w', zone_id: 'z' },
    resource: { type: 'Resource', identifier: 'resource://r', scopes: ['r:read'] },
    action: { id: 'CredentialInjection' },
    context: {
      actor_claims: { caracal_client_id: 'w' },
      requested_scopes: ['r:read'],
      challenge_resolved: false,
    },
  })
})
