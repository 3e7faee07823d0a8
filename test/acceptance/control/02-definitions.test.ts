import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())

/** The document SDK grant helpers upload: exactly six lines. */
function grantDocument(applicationId: string, resource: string, scopes: readonly string[]): string {
  const grants = { [resource]: { application: applicationId, roles: { [applicationId]: scopes } } }
  return [
    '# caracal:data-document',
    'package caracal.authz',
    'import rego.v1',
    `app_ids := ${JSON.stringify({ [applicationId]: applicationId })}`,
    `grants := ${JSON.stringify(grants)}`,
    '',
  ].join('\n')
}

describe('zones and pagination (control-api §16)', () => {
  test('14: names are trimmed, slugs generated and unique', async () => {
    const first = await stage.send('POST', '/v1/zones', { name: ' My Zone ' })
    expect(first.status).toBe(201)
    expect(first.body).toMatchObject({ name: 'My Zone', slug: 'my-zone', dcr_enabled: false })
    expect(first.body.created_at).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
    expect((await stage.send('POST', '/v1/zones', { name: 'My Zone' })).body.slug).toBe('my-zone-2')
    const taken = await stage.send('POST', '/v1/zones', { name: 'Other', slug: 'my-zone' })
    expect([taken.status, taken.body.error]).toEqual([409, 'zone_slug_conflict'])
    const strict = await stage.send('POST', '/v1/zones', { name: 'x', foo: 1 })
    expect([strict.status, strict.body.error]).toEqual([400, 'invalid_zone'])
    expect((await stage.send('POST', '/v1/zones', { name: 'x'.repeat(121) })).status).toBe(400)
  })

  test('a fresh zone has its signing key', async () => {
    const zone = await stage.zone()
    const keys = await stage.sts.zoneKeys(zone)
    expect(keys).toHaveLength(1)
    expect(keys?.[0]).toMatchObject({ kty: 'EC', crv: 'P-256' })
  })

  test('16: pages are complete and cursors are refused when they are not ours', async () => {
    const before = (await stage.send('GET', '/v1/zones')).body.items.length
    const ids = []
    for (let i = 0; i < 5; i += 1) ids.push(await stage.zone(`Page ${i}`))
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const page = await stage.send('GET', `/v1/zones?limit=2${query}`)
      seen.push(...page.body.items.map((zone: { id: string }) => zone.id))
      cursor = page.body.next_cursor
    } while (cursor !== null)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.length).toBe(before + 5)
    expect(seen.slice(0, 5)).toEqual(ids.reverse())
    for (const limit of ['0', '501', 'x', '-1']) {
      expect((await stage.send('GET', `/v1/zones?limit=${limit}`)).body.error).toBe('invalid_query')
    }
    expect((await stage.send('GET', '/v1/zones?limit=1&limit=2')).body.error).toBe('invalid_query')
    const at = (ts: string) => Buffer.from(JSON.stringify({ ts, id: 'x' })).toString('base64url')
    for (const cursor of ['!!!', at('2026-02-30T00:00:00Z'), at('0000-01-01T00:00:00Z')]) {
      expect((await stage.send('GET', `/v1/zones?cursor=${cursor}`)).body.error).toBe('invalid_cursor')
    }
  })

  test('16: a thousand rows of one instant page without loss', async () => {
    const zone = await stage.zone('Crowded')
    await stage.database.admin`
      insert into applications (id, zone_id, name, registration_method, created_at)
      select 'same-instant-' || lpad(n::text, 4, '0'), ${zone}, 'app ' || n, 'managed', '2026-01-01T00:00:00.123456Z'
      from generate_series(1, 1000) n`
    const seen = new Set<string>()
    let cursor: string | null = null
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const page = await stage.send('GET', `/v1/zones/${zone}/applications?limit=300${query}`)
      for (const { id } of page.body.items) seen.add(id)
      cursor = page.body.next_cursor
    } while (cursor !== null)
    expect(seen.size).toBe(1000)
  })

  test('18: a taken slug is 409 on change too; an archived zone takes no children', async () => {
    const zone = await stage.zone('Ending')
    const other = await stage.zone('Standing')
    const clash = await stage.send('PATCH', `/v1/zones/${other}`, { slug: 'ending' })
    expect([clash.status, clash.body.error]).toEqual([409, 'zone_slug_conflict'])
    expect((await stage.send('PATCH', `/v1/zones/${other}`, {})).body.error).toBe('no_fields')
    const content = '# caracal:data-document\npackage caracal.authz\napp_ids := {"a": "b"}\n'
    const policy = await stage.send('POST', `/v1/zones/${zone}/policies`, { name: 'p', content })
    const set = await stage.send('POST', `/v1/zones/${zone}/policy-sets`, { name: 's' })
    const manifest = [{ policy_version_id: policy.body.version_id }]
    const sets = `policy-sets/${set.body.id}`
    const sealed = await stage.send('POST', `/v1/zones/${zone}/${sets}/versions`, { manifest })
    expect(sealed.status).toBe(201)
    expect((await stage.send('DELETE', `/v1/zones/${zone}`)).status).toBe(204)
    expect((await stage.send('GET', `/v1/zones/${zone}`)).status).toBe(404)
    for (const [path, body] of [
      ['applications', { bad: true }],
      [`policies/${policy.body.id}/versions`, { content }],
      [`${sets}/versions`, { manifest }],
      [`${sets}/activate`, { version_id: sealed.body.version_id }],
    ] as const) {
      const child = await stage.send('POST', `/v1/zones/${zone}/${path}`, body)
      expect([path, child.status, child.body.error]).toEqual([path, 404, 'zone_not_found'])
    }
    expect((await stage.send('GET', `/v1/zones/${zone}/applications`)).status).toBe(200)
  })
})

describe('applications (control-api §16)', () => {
  /** What the STS says to an application that may do nothing: who it is, is looked at first. */
  async function atSts(zone_id: string, application_id: string, client_secret: string) {
    const asked = { zone_id, application_id, client_secret, resource: 'resource://none', scope: 'none:read' }
    const { status, body } = await stage.exchange(asked)
    return [status, body.error]
  }
  const knownButUngranted = [403, 'access_denied']

  test('19: a secret is generated, shown again with evidence, and rotated', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/applications`
    const made = await stage.send('POST', path, { name: 'Agent', registration_method: 'managed' })
    expect(made.status).toBe(201)
    expect(made.body.client_secret).toMatch(/^cs_[A-Za-z0-9_-]{43}$/)
    const shown = await stage.send('GET', `${path}/${made.body.id}/client-secret`)
    expect(shown.body).toEqual({ client_secret: made.body.client_secret })
    const [row] = await stage.database.admin<{ payload_json: { data: string } }[]>`
      select payload_json from caracal_outbox where topic = 'caracal.audit.events' and payload_json->>'data' like ${`%${zone}%`}`
    expect(JSON.parse(row?.payload_json.data ?? '{}')).toMatchObject({
      event_type: 'credential_revealed',
      metadata_json: { credential: 'application_client_secret', application_id: made.body.id },
    })
    const rotated = await stage.send('POST', `${path}/${made.body.id}/rotate-secret`)
    expect(rotated.status).toBe(200)
    expect(rotated.body.client_secret).not.toBe(made.body.client_secret)
    const [stored] = await stage.database.admin<{ client_secret_hash: string }[]>`
      select client_secret_hash from applications where id = ${made.body.id}`
    const hash = stored?.client_secret_hash ?? ''
    expect(hash).toMatch(/^hmac-sha256\$/)
    expect(await stage.hasher.verify(rotated.body.client_secret, hash)).toBe(true)
    expect(await stage.hasher.verify(made.body.client_secret, hash)).toBe(false)
    expect(await atSts(zone, made.body.id, made.body.client_secret)).toEqual([401, 'access_denied'])
    expect(await atSts(zone, made.body.id, rotated.body.client_secret)).toEqual(knownButUngranted)
    const twin = await stage.send('POST', path, { name: 'AGENT', registration_method: 'managed' })
    expect([twin.status, twin.body.error]).toEqual([409, 'application_name_taken'])
  })

  test('20: trait rules are 403', async () => {
    const zone = await stage.zone()
    const create = (traits: string[]) =>
      stage.send('POST', `/v1/zones/${zone}/applications`, {
        name: `t${Math.random()}`,
        registration_method: 'managed',
        traits,
      })
    const refused = async (traits: string[]) => {
      const answer = await create(traits)
      return [answer.status, answer.body.error]
    }
    expect(await refused(['control:max-ttl:30'])).toEqual([403, 'trait_invalid'])
    for (const length of [65, 257]) {
      const many = Array.from({ length }, (_, n) => `t${n}`)
      expect(await refused(many)).toEqual([403, 'trait_count_exceeded'])
    }
    expect(await refused(['a', 'a'])).toEqual([403, 'trait_duplicate'])
    expect(await refused(['control:scope:nope'])).toEqual([403, 'trait_invalid'])
    expect(await refused(['1x'])).toEqual([403, 'trait_invalid'])
    const good = ['control:invoke', 'control:scope:control:app:read', 'control:max-ttl:300', 'team:a']
    expect((await create(good)).status).toBe(201)
  })

  test('21: a chosen secret needs 32 characters; an empty patch is refused', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/applications`
    const { id } = (await stage.send('POST', path, { name: 'A', registration_method: 'managed' })).body
    const patch = (body: unknown) => stage.send('PATCH', `${path}/${id}`, body)
    expect((await patch({ client_secret: 'x'.repeat(31) })).status).toBe(400)
    const chosen = await patch({ client_secret: 'y'.repeat(32) })
    expect(chosen.status).toBe(200)
    expect(chosen.text).not.toContain('y'.repeat(32))
    expect((await patch({})).body.error).toBe('no_fields')
    const [row] = await stage.database.admin<{ client_secret_hash: string }[]>`
      select client_secret_hash from applications where id = ${id}`
    expect(row?.client_secret_hash).toMatch(/^scrypt\$/)
    expect(await atSts(zone, id, 'y'.repeat(32))).toEqual(knownButUngranted)
    expect(await atSts(zone, id, 'z'.repeat(32))).toEqual([401, 'access_denied'])
  })
})

describe('providers and resources (control-api §16)', () => {
  test('25: secrets are sealed, kept by a config patch, and demanded by a kind change', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/providers`
    const incomplete = await stage.send('POST', path, {
      name: 'Key',
      kind: 'api_key',
      config_json: { api_key: 'sk-test' },
    })
    expect([incomplete.status, incomplete.body.error]).toEqual([400, 'invalid_provider_config'])
    const made = await stage.send('POST', path, {
      name: 'Key',
      kind: 'api_key',
      config_json: { api_key: 'sk-test', header_name: 'X-Key' },
    })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      identifier: 'provider://key',
      config_json: { header_name: 'X-Key', auth_location: 'header' },
      secret_config_keys: ['api_key'],
    })
    expect(made.text).not.toContain('sk-test')
    const sealed = async () =>
      await stage.database.admin<{ row: string }[]>`
        select to_jsonb(s)::text as row from secret_store s
        where ref = ${`zones/${zone}/providers/${made.body.id}/secretConfig`}`
    const before = await sealed()
    expect(before).toHaveLength(1)
    expect(before[0]?.row).not.toContain('sk-test')
    const patched = await stage.send('PATCH', `${path}/${made.body.id}`, {
      config_json: { header_name: 'X-K' },
    })
    expect(patched.body).toMatchObject({
      config_json: { header_name: 'X-K' },
      secret_config_keys: ['api_key'],
    })
    expect(await sealed()).toEqual(before)
    const kindOnly = await stage.send('PATCH', `${path}/${made.body.id}`, {
      kind: 'api_key',
      config_json: { header_name: 'X-K' },
    })
    expect([kindOnly.status, kindOnly.body.error]).toEqual([400, 'invalid_provider_config'])
    const bare = await stage.send('PATCH', `${path}/${made.body.id}`, { kind: 'none' })
    expect(bare.body.error).toBe('provider_config_required')
    const none = await stage.send('PATCH', `${path}/${made.body.id}`, { kind: 'none', config_json: {} })
    expect(none.body.secret_config_keys).toEqual([])
    const again = await stage.send('POST', path, { name: 'Key', kind: 'none' })
    expect(again.body.identifier).toBe('provider://key-2')
  })

  test('26: reserved headers, doubled schemes and control characters are refused', async () => {
    const zone = await stage.zone()
    const status = async (kind: string, config_json: unknown) =>
      (await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'p', kind, config_json })).status
    expect(await status('api_key', { api_key: 'k', header_name: 'Host' })).toBe(400)
    expect(await status('api_key', { api_key: 'k', header_name: 'x-caracal-x' })).toBe(400)
    expect(await status('bearer_token', { bearer_token: 'Bearer abc' })).toBe(400)
    expect(await status('bearer_token', { bearer_token: 'a\nb' })).toBe(400)
    expect(await status('bearer_token', { bearer_token: 'abc', unknown: 1 })).toBe(400)
    expect(await status('http_basic', { username: 'u', password: 'p' })).toBe(201)
    expect(await status('none', [])).toBe(400)
    const oauth = { token_endpoint: 'https://[fd00::1]/token', client_id: 'c', client_secret: 's' }
    const kind = 'oauth2_client_credentials'
    const made = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'v6',
      kind,
      config_json: oauth,
    })
    expect(made.body.config_json.allowed_token_hosts).toEqual(['fd00::1'])
    expect(await status(kind, { ...oauth, allowed_token_hosts: ['fd00::1'] })).toBe(201)
    expect(await status(kind, { ...oauth, token_params: JSON.parse('{"__proto__":"x"}') })).toBe(400)
    expect(await status('none', {})).toBe(201)
    expect(await status('caracal_mandate', {})).toBe(201)
  })

  test('28: the checks of a resource come in their order', async () => {
    const zone = await stage.zone()
    const other = await stage.zone('Other')
    const provider = (await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' }))
      .body
    const foreign = (await stage.send('POST', `/v1/zones/${other}/providers`, { name: 'n', kind: 'none' }))
      .body
    const path = `/v1/zones/${zone}/resources`
    const refusal = async (body: object) => {
      const answer = await stage.send('POST', path, { name: 'R', scopes: ['r:read'], ...body })
      return [answer.status, answer.body.error]
    }
    expect(await refusal({})).toEqual([400, 'credential_provider_required'])
    expect(await refusal({ credential_provider_id: provider.id })).toEqual([400, 'upstream_url_required'])
    expect(await refusal({ credential_provider_id: foreign.id, upstream_url: 'http://u' })).toEqual([
      404,
      'provider_not_found',
    ])
    const base = { credential_provider_id: provider.id, upstream_url: 'http://upstream.test' }
    const operation = { method: 'get', path: '/', scope: 'r:read' }
    expect(await refusal({ ...base, operations: [{ ...operation, scope: 'r:write' }] })).toEqual([
      400,
      'operation_scope_not_in_resource_scopes',
    ])
    expect(await refusal({ ...base, operations: [operation, { ...operation, method: 'GET' }] })).toEqual([
      400,
      'operation_duplicate',
    ])
    const named = ['/{a}/x', '/{b}/x'].map((path) => ({ ...operation, path }))
    expect(await refusal({ ...base, operations: named })).toEqual([400, 'operation_duplicate'])
    expect(await refusal({ ...base, identifier: 'no uri' })).toEqual([400, 'invalid_resource_identifier'])
    for (const upstream_url of [
      'http://u:p@host/',
      ' http://host/',
      'http:host',
      'http://h/%zz',
      'http://h/?a=%zz',
    ])
      expect(await refusal({ ...base, upstream_url })).toEqual([400, 'invalid_resource'])
    const made = await stage.send('POST', path, {
      name: 'R',
      scopes: ['r:read'],
      ...base,
      operations: [operation],
    })
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      identifier: 'resource://r',
      operation_enforcement: 'enforced',
      operations: [{ method: 'GET', path: '/', scope: 'r:read' }],
    })
    expect(await refusal({ ...base, identifier: 'resource://r' })).toEqual([
      409,
      'resource_identifier_conflict',
    ])
    const listed = await stage.send('PATCH', `${path}/${made.body.id}`, [])
    expect([listed.status, listed.body.error]).toEqual([400, 'invalid_resource'])
    const narrowed = await stage.send('PATCH', `${path}/${made.body.id}`, { scopes: ['r:write'] })
    expect(narrowed.body.error).toBe('operation_scope_not_in_resource_scopes')
    expect((await stage.send('DELETE', `${path}/${made.body.id}`)).status).toBe(204)
    expect((await stage.send('GET', `${path}/${made.body.id}`)).status).toBe(404)
    expect((await stage.send('GET', `${path}?status=archived`)).body.items).toHaveLength(1)
  })

  test('an archived provider tells how many resources it leaves behind, and holds no other change back', async () => {
    const zone = await stage.zone()
    const providers = `/v1/zones/${zone}/providers`
    const provider = (await stage.send('POST', providers, { name: 'n', kind: 'none' })).body
    const path = `/v1/zones/${zone}/resources`
    const made = await stage.send('POST', path, {
      name: 'Bound',
      scopes: ['r:read'],
      credential_provider_id: provider.id,
      upstream_url: 'http://upstream.test',
    })
    const archived = await stage.send('DELETE', `${providers}/${provider.id}`)
    expect([archived.status, archived.headers.get('x-caracal-bound-resources')]).toEqual([204, '1'])
    const renamed = await stage.send('PATCH', `${path}/${made.body.id}`, { name: 'Renamed' })
    expect([renamed.status, renamed.body.name]).toEqual([200, 'Renamed'])
    const bound = { credential_provider_id: provider.id }
    expect((await stage.send('PATCH', `${path}/${made.body.id}`, bound)).body.error).toBe(
      'provider_not_found',
    )
  })

  test('secret_merge keeps the secrets a patch does not name', async () => {
    const zone = await stage.zone()
    const path = `/v1/zones/${zone}/providers`
    const config_json = { username: 'u', password: 'p' }
    const { id } = (await stage.send('POST', path, { name: 'b', kind: 'http_basic', config_json })).body
    const patch = (body: object) => stage.send('PATCH', `${path}/${id}`, body)
    const renamed = { kind: 'http_basic', config_json: { username: 'other' } }
    expect((await patch(renamed)).body.error).toBe('invalid_provider_config')
    const merged = await patch({ ...renamed, secret_merge: true })
    expect(merged.status).toBe(200)
    expect(merged.body).toMatchObject({
      config_json: { username: 'other' },
      secret_config_keys: ['password'],
    })
    expect((await patch({ secret_merge: true })).body.error).toBe('no_fields')
    const other = { kind: 'bearer_token', config_json: {}, secret_merge: true }
    expect((await patch(other)).body.error).toBe('invalid_provider_config')
  })

  test('29: the control resource binds the built-in provider and cannot be deleted', async () => {
    const zone = await stage.zone()
    const made = await stage.send('POST', `/v1/zones/${zone}/resources`, {
      name: 'Control',
      identifier: 'caracal-control',
      scopes: ['control:app:read'],
    })
    expect(made.status).toBe(201)
    expect(made.body.credential_provider_id).toBe(`provider-none-${zone}`)
    const deleted = await stage.send('DELETE', `/v1/zones/${zone}/resources/${made.body.id}`)
    expect([deleted.status, deleted.body.error]).toEqual([409, 'protected_resource'])
  })

  test('29: a provider that somebody called None does not stand in its way', async () => {
    const zone = await stage.zone()
    const own = await stage.send('POST', `/v1/zones/${zone}/providers`, {
      name: 'None',
      kind: 'none',
      config_json: {},
    })
    expect(own.body.identifier).toBe('provider://none')
    const made = await stage.send('POST', `/v1/zones/${zone}/resources`, {
      name: 'Control',
      identifier: 'caracal-control',
      scopes: ['control:app:read'],
    })
    expect([made.status, made.body.credential_provider_id]).toEqual([201, `provider-none-${zone}`])
    const bound = await stage.send('GET', `/v1/zones/${zone}/providers/provider-none-${zone}`)
    expect(bound.body.identifier).toBe('provider://none-2')
  })
})

describe('policies (control-api §16)', () => {
  test('30: validation names the first broken rule', async () => {
    const validate = async (content: string) => {
      const answer = await stage.send('POST', '/v1/policies/validate', { content })
      return [answer.status, answer.body.error_description ?? answer.body.valid]
    }
    const head = '# caracal:data-document\npackage caracal.authz\nimport rego.v1\n'
    expect(await validate('package caracal.authz\ngrants := {}')).toEqual([422, 'must_be_data_document'])
    expect(await validate(`${head}result := 1`)).toEqual([422, 'data_document_must_not_define_result'])
    expect(await validate(`${head}foo := 1`)).toEqual([422, 'data_document_rule_not_allowed:foo'])
    expect(await validate(`${head}restrict contains "x" if { http.send({}) }`)).toEqual([
      422,
      'forbidden_builtin:http.send',
    ])
    expect(await validate(`${head}restrict contains "x" if { input.principal.id == "a" }`)).toEqual([
      200,
      true,
    ])
    expect(await validate(`${head}restrict contains "x" if { nope.nope(1) }`)).toEqual([
      422,
      expect.stringMatching(/^data_document_unsupported_syntax:4:28$/),
    ])
    expect((await stage.send('POST', '/v1/policies/validate', {})).body.error).toBe('invalid_body')
  })

  test('31, 32: the SDK document validates, its hash is of the bytes sent, names are unique', async () => {
    const zone = await stage.zone()
    const content = grantDocument('app-1', 'resource://r', ['r:read'])
    const checked = await stage.send('POST', '/v1/policies/validate', { content })
    expect(checked.body.preview.rules).toEqual(['app_ids', 'grants'])
    const made = await stage.send('POST', `/v1/zones/${zone}/policies`, { name: 'p', content })
    expect(made.status).toBe(201)
    expect(made.body.version).toMatchObject({
      version: 1,
      content_sha256: createHash('sha256').update(content).digest('hex'),
      schema_version: '2026-05-20',
    })
    expect(made.body.version_id).toBe(made.body.version.id)
    const empty = await stage.send('POST', `/v1/zones/${zone}/policies`, {})
    expect(empty.body.error).toBe('invalid_body')
    expect(empty.body.details.issues.map((issue: { path: string[] }) => issue.path[0])).toContain('name')
    const twin = await stage.send('POST', `/v1/zones/${zone}/policies`, { name: 'p', content })
    expect([twin.status, twin.body.error]).toEqual([409, 'policy_name_conflict'])
    const next = await stage.send('POST', `/v1/zones/${zone}/policies/${made.body.id}/versions`, { content })
    expect(next.body.version).toBe(2)
    const read = await stage.send('GET', `/v1/zones/${zone}/policies/${made.body.id}`)
    expect(read.body.versions.map((version: { version: number }) => version.version)).toEqual([2, 1])
  })

  test('33: a manifest of unknown, doubled, foreign or conflicting versions is refused', async () => {
    const zone = await stage.zone()
    const other = await stage.zone()
    const policy = async (inZone: string, name: string, content: string) =>
      (await stage.send('POST', `/v1/zones/${inZone}/policies`, { name, content })).body.version_id as string
    const one = await policy(zone, 'one', grantDocument('app-1', 'resource://r', ['a']))
    const two = await policy(zone, 'two', grantDocument('app-2', 'resource://r', ['a']))
    const foreign = await policy(other, 'one', grantDocument('app-1', 'resource://r', ['a']))
    const set = (await stage.send('POST', `/v1/zones/${zone}/policy-sets`, { name: 's' })).body
    expect(set.active_version_id).toBeNull()
    const seal = async (ids: string[]) => {
      const answer = await stage.send('POST', `/v1/zones/${zone}/policy-sets/${set.id}/versions`, {
        manifest: ids.map((policy_version_id) => ({ policy_version_id })),
      })
      return [answer.status, answer.body.error]
    }
    for (const ids of [[one, one], ['nope'], [foreign]]) {
      expect(await seal(ids)).toEqual([422, 'invalid_policy_contract'])
    }
    expect(await seal([one, two])).toEqual([422, 'invalid_policy_bundle'])
    expect(await seal(Array.from({ length: 257 }, (_, n) => `v${n}`))).toEqual([400, 'invalid_body'])
    expect(await seal([one])).toEqual([201, undefined])
  })

  test('34: activation propagates, replaces the other set, and deletion denies', async () => {
    const zone = await stage.zone()
    const app = await stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'a',
      registration_method: 'managed',
    })
    const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'n', kind: 'none' })
    const resource = await stage.send('POST', `/v1/zones/${zone}/resources`, {
      identifier: 'resource://r',
      scopes: ['a'],
      upstream_url: 'http://up.test',
      credential_provider_id: provider.body.id,
    })
    expect(resource.status).toBe(201)
    const mint = async () => {
      const answer = await stage.exchange({
        zone_id: zone,
        application_id: app.body.id,
        client_secret: app.body.client_secret,
        resource: 'resource://r',
        scope: 'agent:lifecycle',
      })
      return answer.status
    }
    expect(await mint()).toBe(403)
    const made = await stage.send('POST', `/v1/zones/${zone}/policies`, {
      name: 'p',
      content: grantDocument(app.body.id, 'resource://r', ['a']),
    })
    const activate = async (name: string) => {
      const set = (await stage.send('POST', `/v1/zones/${zone}/policy-sets`, { name })).body
      const path = `/v1/zones/${zone}/policy-sets/${set.id}`
      const version = await stage.send('POST', `${path}/versions`, {
        manifest: [{ policy_version_id: made.body.version_id }],
      })
      const answer = await stage.send('POST', `${path}/activate`, { version_id: version.body.version_id })
      expect(answer.status).toBe(202)
      return { path, version: version.body.version_id as string, answer }
    }
    const a = await activate('a')
    await eventually(async () => {
      const status = await stage.send('GET', a.answer.body.status_url)
      expect(status.body.outbox.id).toBe(a.answer.body.outbox_id)
      return status.body.propagation_status === 'loaded'
    })
    const entries = await stage.bus.range('caracal.policy.invalidate', '-', 10_000)
    const mine = entries.filter((entry) => entry.fields.zone_id === zone)
    expect(mine).toHaveLength(1)
    expect(mine[0]?.fields._sig).toMatch(/^[0-9a-f]{64}$/)
    const b = await activate('b')
    expect((await stage.send('GET', a.path)).body.active_version_id).toBeNull()
    const stale = await stage.send('GET', `${a.path}/activation-status?version_id=${a.version}`)
    expect(stale.body.propagation_status).toBe('waiting_for_activation')
    expect(await mint()).toBe(200)
    expect((await stage.send('DELETE', b.path)).status).toBe(204)
    expect(await mint()).toBe(403)
    await eventually(async () => {
      const status = await stage.sts.policyStatus(zone)
      return status.manifest_sha256 === 'no_active_policy_set'
    })
  })

  test('the policies a decision rested on can be read and tried when they and their set are gone', async () => {
    const zone = await stage.zone()
    const base = `/v1/zones/${zone}`
    const content = grantDocument('a', 'resource://r', ['a'])
    const other = '# caracal:data-document\npackage caracal.authz\nrestrict := []'
    const [one, two] = [
      (await stage.send('POST', `${base}/policies`, { name: 'one', content })).body,
      (await stage.send('POST', `${base}/policies`, { name: 'two', content: other })).body,
    ]
    const set = `${base}/policy-sets/${(await stage.send('POST', `${base}/policy-sets`, { name: 's' })).body.id}`
    const manifest = [{ policy_version_id: two.version_id }, { policy_version_id: one.version_id }]
    const { version_id } = (await stage.send('POST', `${set}/versions`, { manifest })).body
    for (const path of [`${base}/policies/${one.id}`, `${base}/policies/${two.id}`, set])
      expect((await stage.send('DELETE', path)).status).toBe(204)
    expect((await stage.send('GET', `${base}/policies/${one.id}`)).status).toBe(404)
    const sealed = await stage.send('GET', `${set}/versions/${version_id}`)
    expect(sealed.body.policies).toEqual([two.version_id, one.version_id])
    const documents = await stage.send('GET', `${set}/versions/${version_id}/documents`)
    expect(documents.body).toMatchObject([
      { id: two.version_id, policy_id: two.id, policy_name: 'two', version: 1, content: other },
      { id: one.version_id, policy_id: one.id, policy_name: 'one', version: 1, content },
    ])
    const tried = await stage.send('POST', `${set}/simulate`, { version_id, input: {} })
    expect(tried.body.explanation.evaluation).toBe('executed')
    expect((await stage.send('POST', `${set}/activate`, { version_id })).status).toBe(404)
    const elsewhere = set.replace(zone, await stage.zone())
    for (const path of [`${set}/versions/nope`, `${elsewhere}/versions/${version_id}`])
      expect((await stage.send('GET', `${path}/documents`)).body.error).toBe('policy_set_version_not_found')
  })

  test('35: simulation executes with a matching input and changes nothing', async () => {
    const zone = await stage.zone()
    const made = await stage.send('POST', `/v1/zones/${zone}/policies`, {
      name: 'p',
      content: grantDocument('app-1', 'resource://r', ['a']),
    })
    const set = (await stage.send('POST', `/v1/zones/${zone}/policy-sets`, { name: 's' })).body
    const path = `/v1/zones/${zone}/policy-sets/${set.id}`
    const version = await stage.send('POST', `${path}/versions`, {
      manifest: [{ policy_version_id: made.body.version_id }],
    })
    const simulate = (input?: object) =>
      stage.send('POST', `${path}/simulate`, { version_id: version.body.version_id, input })
    expect((await simulate()).body.explanation.evaluation).toBe('not_executed')
    const input = {
      principal: { type: 'Application', id: 'app-1', zone_id: zone, registration_method: 'managed' },
      resource: { type: 'Resource', id: 'r', identifier: 'resource://r', scopes: ['a'] },
      action: { id: 'TokenExchange' },
      context: { actor_claims: {}, requested_scopes: ['agent:lifecycle'], challenge_resolved: false },
    }
    const executed = await simulate(input)
    expect(executed.body).toMatchObject({
      would_activate: true,
      explanation: { evaluation: 'executed', decision: 'allow' },
      result: { decision: 'allow' },
    })
    const foreign = await simulate({ ...input, principal: { ...input.principal, zone_id: 'other' } })
    expect(foreign.body.would_activate).toBe(false)
    expect(foreign.body.warnings).toContain('principal_zone_mismatch')
    expect((await stage.send('GET', path)).body.active_version_id).toBeNull()
  })

  test('36: reconciling governed upstreams twice adds nothing the second time', async () => {
    const zone = await stage.zone()
    const base = `/v1/zones/${zone}`
    const app = (
      await stage.send('POST', `${base}/applications`, { name: 'a', registration_method: 'managed' })
    ).body
    const content = grantDocument(app.id, 'resource://up', ['up:read'])
    const items = async (path: string) => (await stage.send('GET', `${base}/${path}`)).body.items

    /** The calls of the SDK's `ensureGovernedUpstreams`, in its order. */
    async function ensure(): Promise<void> {
      const config_json = { header_name: 'X-Key' }
      const providers = await items('providers')
      const provider = providers.find((row: { identifier: string }) => row.identifier === 'provider://up')
      const ready =
        provider === undefined
          ? await stage.send('POST', `${base}/providers`, {
              identifier: 'provider://up',
              kind: 'api_key',
              config_json: { ...config_json, api_key: 'sk' },
            })
          : await stage.send('PATCH', `${base}/providers/${provider.id}`, { config_json })
      expect([200, 201]).toContain(ready.status)
      expect(ready.body.secret_config_keys).toEqual(['api_key'])
      const resources = await items('resources')
      if (!resources.some((row: { identifier: string }) => row.identifier === 'resource://up')) {
        const made = await stage.send('POST', `${base}/resources`, {
          identifier: 'resource://up',
          scopes: ['up:read'],
          upstream_url: 'http://up.test',
          credential_provider_id: ready.body.id,
        })
        expect(made.status).toBe(201)
      }
      await ensureActive()
    }

    async function ensureActive(): Promise<void> {
      const sha = createHash('sha256').update(content).digest('hex')
      const known = (await items('policies')).find(
        (row: { name: string }) => row.name === 'application-grants',
      )
      let versionId: string
      let changed = false
      if (known === undefined) {
        const made = await stage.send('POST', `${base}/policies`, { name: 'application-grants', content })
        versionId = made.body.version_id
        changed = true
      } else {
        const [latest] = (await stage.send('GET', `${base}/policies/${known.id}`)).body.versions
        expect(latest.content_sha256).toBe(sha)
        versionId = latest.id
      }
      const sets = await items('policy-sets')
      const set =
        sets.find((row: { name: string }) => row.name === 'application-grant-policy') ??
        (await stage.send('POST', `${base}/policy-sets`, { name: 'application-grant-policy' })).body
      if (!changed && set.active_version_id !== null) return
      const sealed = await stage.send('POST', `${base}/policy-sets/${set.id}/versions`, {
        manifest: [{ policy_version_id: versionId }],
      })
      const activated = await stage.send('POST', `${base}/policy-sets/${set.id}/activate`, {
        version_id: sealed.body.version_id,
      })
      expect(activated.status).toBe(202)
    }

    await ensure()
    await ensure()
    const [set] = await items('policy-sets')
    expect((await stage.send('GET', `${base}/policy-sets/${set.id}/versions`)).body.items).toHaveLength(1)
    const [policy] = await items('policies')
    expect((await stage.send('GET', `${base}/policies/${policy.id}`)).body.versions).toHaveLength(1)
  })

  test('templates all validate', async () => {
    const templates = await stage.send('GET', '/v1/policy-templates')
    expect(templates.body.length).toBeGreaterThanOrEqual(4)
    for (const { content } of templates.body) {
      expect((await stage.send('POST', '/v1/policies/validate', { content })).status).toBe(200)
    }
  })
})
