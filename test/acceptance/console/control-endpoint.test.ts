/** The Control endpoint on the console: its switch, and tokens for it (sdk-cli-console §13.2; control-api §9.1, §9.2). */
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { redactFields } from '../../../src/platform/observe/redact.ts'
import { controlScopes } from '../../../src/roles/control/invoke/scopes.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { type Browser, type BrowserAnswer, createBrowser } from '../../roles/control/console-client.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'
import { auditEvent } from '../../roles/sts/world.ts'

const gate = join(tmpdir(), `caracal-gate-${uuidv7()}`)
const settings = {
  CARACAL_CONTROL_ENABLED: true,
  CONTROL_GATE_FILE: gate,
  CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN: 0,
}
let stage: Stage
let zone: string
let admin: Browser
beforeAll(async () => {
  stage = await createStage({ settings })
  zone = await zoneForKeys()
  admin = await signedIn()
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await rm(gate, { force: true })
})
beforeEach(() => rm(gate, { force: true }))

const outcome = ({ status, body }: BrowserAnswer) => [status, body.error]

async function signedIn(token: string = adminToken, at: Pick<Stage, 'control'> = stage): Promise<Browser> {
  const browser = createBrowser(at.control.app)
  const answer = await browser.signIn({ token })
  if (answer.status !== 200) throw new Error(`not signed in: ${answer.text}`)
  return browser
}

async function tokenOf(input: object): Promise<string> {
  const made = await stage.send('POST', '/v1/admin-tokens', { name: `token ${uuidv7()}`, ...input })
  if (made.status !== 201) throw new Error(made.text)
  return made.body.token
}

/** A zone with the control resource. */
async function zoneForKeys(at = stage): Promise<string> {
  const id = await at.zone()
  const made = await at.send('POST', `/v1/zones/${id}/resources`, {
    name: 'Control',
    identifier: 'caracal-control',
    scopes: controlScopes,
  })
  if (made.status !== 201) throw new Error(made.text)
  return id
}

async function keyWith(traits: readonly string[], at = stage, inZone = zone): Promise<string> {
  const made = await at.send('POST', `/v1/zones/${inZone}/applications`, {
    name: `key ${uuidv7()}`,
    registration_method: 'managed',
    traits,
  })
  if (made.status !== 201) throw new Error(made.text)
  return made.body.id
}

const reader = ['control:invoke', 'control:scope:control:app:read']

const invoke = (bearer: string, at: Pick<Stage, 'send'> = stage) =>
  at.send('POST', '/v1/control/invoke', { command: 'app', subcommand: 'list' }, { token: bearer })

const ledgerOf = (requestId: string) =>
  stage.database.admin<Record<string, unknown>[]>`
    select zone_id, actor_id, actor_scope, action, entity_type, entity_id, status_code, payload_json
    from admin_audit_events where request_id = ${requestId}`

describe('a token', () => {
  const ask = (browser: Browser, input: object, requestId = `token-${uuidv7()}`) =>
    browser.send(
      'POST',
      '/control/token',
      { zone_id: zone, scopes: ['control:app:read'], ...input },
      { 'x-request-id': requestId },
    )

  test('is for one call with the scopes that were asked for, and both evidences have its request', async () => {
    const { user } = (await admin.send('GET', '/auth/session')).body
    const keyId = await keyWith([
      ...reader,
      'control:scope:control:resource:read',
      'control:scope:control:app:write',
      'control:max-ttl:120',
    ])
    await admin.send('POST', '/control/enable')
    const requestId = `token-${uuidv7()}`
    const answer = await ask(admin, { application_id: keyId, ttl_seconds: 600 }, requestId)
    expect(answer.status, answer.text).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      // The key says so.
      expires_in: 120,
      scope: 'control:app:read',
    })
    const { access_token: token } = answer.body
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    expect(claims).toMatchObject({ sub: keyId, zone_id: zone, aud: ['caracal-control'], use: 'resource' })
    const called = await invoke(token)
    expect([called.status, called.body.ok]).toEqual([200, true])
    expect((await invoke(token)).body.error.code).toBe('token_replay')
    const other = await ask(admin, { application_id: keyId })
    const write = { command: 'app', subcommand: 'create', flags: { name: 'x' } }
    const refused = await stage.send('POST', '/v1/control/invoke', write, { token: other.body.access_token })
    expect(refused.body.error.code).toBe('denied')

    expect(await ledgerOf(requestId)).toEqual([
      {
        zone_id: zone,
        actor_id: user.id,
        actor_scope: 'global',
        action: 'POST /api/console/control/token',
        entity_type: 'applications',
        entity_id: keyId,
        status_code: 200,
        payload_json: expect.objectContaining({ change_kind: 'action', scopes: ['control:app:read'] }),
      },
    ])
    const minted = await auditEvent({ bus: stage.bus, since: '-' }, requestId, 'complete')
    expect(minted).toMatchObject({ zone_id: zone, decision: 'allow' })
    expect(minted.determining_policies_json).toEqual([{ policy: 'control-key' }])
  })

  test('is never more than its key holds now', async () => {
    const key = await keyWith(reader)
    const beyond = await ask(admin, {
      application_id: key,
      scopes: ['control:app:read', 'control:app:write'],
    })
    expect(outcome(beyond)).toEqual([403, 'control_token_refused'])
    const old = await keyWith([...reader, `control:expires:${new Date(Date.now() - 1000).toISOString()}`])
    expect(outcome(await ask(admin, { application_id: old }))).toEqual([403, 'control_token_refused'])
    // A zone that was never made ready for Control.
    const bare = await stage.zone()
    const there = await keyWith(reader, stage, bare)
    expect(outcome(await ask(admin, { zone_id: bare, application_id: there }))).toEqual([
      403,
      'control_token_refused',
    ])
    const ordinary = await keyWith([])
    expect(outcome(await ask(admin, { application_id: ordinary }))).toEqual([400, 'control_key_required'])
  })

  test('what is not there, or is not asked for rightly, gives none', async () => {
    const key = await keyWith(reader)
    const elsewhere = await stage.zone()
    const cases: [object, number, string][] = [
      [{ application_id: uuidv7() }, 404, 'application_not_found'],
      [{ application_id: key, zone_id: elsewhere }, 404, 'application_not_found'],
      [{ application_id: key, zone_id: uuidv7() }, 404, 'zone_not_found'],
      [{ application_id: key, scopes: [] }, 400, 'invalid_body'],
      [{ application_id: key, scopes: ['nucleus:pay'] }, 400, 'invalid_body'],
      [{ application_id: key, scopes: ['control:zone:write'] }, 400, 'invalid_body'],
      [{ application_id: key, ttl_seconds: 0 }, 400, 'invalid_body'],
      [{ application_id: key, ttl_seconds: 3601 }, 400, 'invalid_body'],
      [{ application_id: key, client_secret: 'x' }, 400, 'invalid_body'],
      [{ application_id: `${key}\n` }, 400, 'invalid_body'],
    ]
    for (const [input, status, code] of cases)
      expect(outcome(await ask(admin, input)), JSON.stringify(input)).toEqual([status, code])
    await stage.database.admin`delete from secret_store where ref like ${`%${key}%`}`
    expect(outcome(await ask(admin, { application_id: key }))).toEqual([404, 'client_secret_not_stored'])
  })

  test('a key of the system zone serves nobody but the bootstrap operator', async () => {
    const system = uuidv7()
    await stage.database.admin`
      insert into zones (id, name, slug) values (${system}, ${`caracal.sys/${system}`}, ${`caracal-sys-${system}`})`
    const key = await keyWith(reader, stage, system)
    const other = await signedIn(await tokenOf({ scope: 'global', capability: 'write' }))
    expect(outcome(await ask(other, { zone_id: system, application_id: key }))).toEqual([
      403,
      'system_zone_read_only',
    ])
  })

  seam('takes a table from everybody')('while the STS cannot sign there is none', async () => {
    const key = await keyWith(reader)
    await stage.database.admin`alter table secrets rename to out_of_reach`
    try {
      expect(outcome(await ask(admin, { application_id: key }))).toEqual([503, 'sts_unavailable'])
    } finally {
      await stage.database.admin`alter table out_of_reach rename to secrets`
    }
  })

  seam('reads the log of the roles')('stands in no line of the log, nor does the secret', async () => {
    let written = ''
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString()
        done()
      },
    })
    const log = pino({ level: 'trace', formatters: { log: (fields) => redactFields(fields, 0) } }, sink)
    await using watched = await createStage({ log, settings })
    const inZone = await zoneForKeys(watched)
    const key = await keyWith(reader, watched, inZone)
    const browser = await signedIn(adminToken, watched)
    const answer = await ask(browser, { zone_id: inZone, application_id: key })
    expect(answer.status, answer.text).toBe(200)
    const { body } = await watched.send('GET', `/v1/zones/${inZone}/applications/${key}/client-secret`)
    for (const secret of [answer.body.access_token, body.client_secret]) expect(written).not.toContain(secret)
    expect(written).toContain('/api/console/control/token')
    expect(written).toContain('console_change')
  })
})

describe('the switch', () => {
  // Not with the tokens: what forgets its counters forgets which tokens it saw, and takes no older one.
  beforeEach(() => stage.forgetCounters())

  test('lets Control in and out at once, and the ledger names who did it', async () => {
    const { user } = (await admin.send('GET', '/auth/session')).body
    const closed = {
      served: true,
      switchable: true,
      open: false,
      audience: 'caracal-control',
      mayManage: true,
    }
    expect((await admin.send('GET', '/control/status')).body).toEqual(closed)
    expect((await invoke('x')).body.error.code).toBe('control_disabled')

    for (const [verb, open, code] of [
      ['enable', true, 'unauthorized'],
      // A second time is no fault.
      ['enable', true, 'unauthorized'],
      ['disable', false, 'control_disabled'],
      ['disable', false, 'control_disabled'],
    ] as const) {
      const requestId = `switch-${uuidv7()}`
      const answer = await admin.send('POST', `/control/${verb}`, {}, { 'x-request-id': requestId })
      expect([answer.status, answer.body]).toEqual([200, { ...closed, open }])
      expect(existsSync(gate)).toBe(open)
      expect((await invoke('x')).body.error.code).toBe(code)
      expect((await admin.send('GET', '/control/status')).body.open).toBe(open)
      expect(await ledgerOf(requestId)).toEqual([
        {
          zone_id: null,
          actor_id: user.id,
          actor_scope: 'global',
          action: `POST /api/console/control/${verb}`,
          entity_type: 'control-endpoint',
          entity_id: null,
          status_code: 200,
          payload_json: expect.objectContaining({ change_kind: 'action', principal_kind: 'admin_token' }),
        },
      ])
    }
  })

  test('leaves what the file says as it is', async () => {
    await writeFile(gate, 'opened by the deployment')
    expect((await admin.send('POST', '/control/enable')).body.open).toBe(true)
    expect(await readFile(gate, 'utf8')).toBe('opened by the deployment')
  })

  test('is moved by the console’s own pages for somebody who is signed in, and by nothing else', async () => {
    const nobody = createBrowser(stage.control.app)
    for (const [method, path] of [
      ['GET', 'status'],
      ['GET', 'catalog'],
      ['POST', 'enable'],
      ['POST', 'disable'],
      ['POST', 'token'],
    ] as const)
      expect(outcome(await nobody.send(method, `/control/${path}`)), path).toEqual([401, 'unauthenticated'])
    for (const path of ['enable', 'disable', 'token'])
      expect(
        outcome(await admin.send('POST', `/control/${path}`, {}, { origin: 'https://evil' })),
        path,
      ).toEqual([403, 'cross_site_request_blocked'])
    expect(outcome(await admin.send('GET', '/control/enable'))).toEqual([404, 'not_found'])
    expect(existsSync(gate)).toBe(false)
  })

  test('takes an operator who may change the whole deployment', async () => {
    const keyId = await keyWith(reader)
    const token = { zone_id: zone, application_id: keyId, scopes: ['control:app:read'] }
    for (const [input, code] of [
      [{ scope: 'global', capability: 'read' }, 'admin_token_read_only'],
      [{ scope: 'global', capability: 'approve' }, 'admin_token_approve_only'],
      [{ scope: 'zone', zone_id: zone, capability: 'write' }, 'admin_token_zone_mismatch'],
    ] as const) {
      const browser = await signedIn(await tokenOf(input))
      expect((await browser.send('GET', '/control/status')).body).toMatchObject({
        open: false,
        mayManage: false,
      })
      const requestId = `refused-${uuidv7()}`
      expect(
        outcome(await browser.send('POST', '/control/enable', {}, { 'x-request-id': requestId })),
      ).toEqual([403, code])
      expect(outcome(await browser.send('POST', '/control/token', token))).toEqual([403, code])
      expect(existsSync(gate)).toBe(false)
      const [row] = await eventually(async () => {
        const rows = await ledgerOf(requestId)
        return rows.length > 0 ? rows : null
      })
      expect(row).toMatchObject({ status_code: 403, action: 'POST /api/console/control/enable' })
    }
    await writeFile(gate, '')
    const reading = await signedIn(await tokenOf({ scope: 'global', capability: 'read' }))
    expect(outcome(await reading.send('POST', '/control/disable'))).toEqual([403, 'admin_token_read_only'])
    expect(existsSync(gate)).toBe(true)
  })

  test('an account needs the whole platform too', async () => {
    const email = `person-${uuidv7()}@example.com`
    const password = 'correct horse battery'
    const browser = createBrowser(stage.control.app)
    const made = await browser.send('POST', '/auth/register', { email, password })
    expect(made.status).toBe(201)
    await browser.signIn({ email, password })
    expect(outcome(await browser.send('POST', '/control/enable'))).toEqual([403, 'forbidden'])
    expect(existsSync(gate)).toBe(false)
  })

  seam('starts servers with other settings')(
    'where there is nothing to switch it says what is missing',
    async () => {
      for (const [other, state, missing] of [
        [{ CARACAL_CONTROL_ENABLED: false }, { served: false, switchable: false }, 'CARACAL_CONTROL_ENABLED'],
        [{ CONTROL_GATE_FILE: null }, { served: true, switchable: false }, 'CONTROL_GATE_FILE'],
      ] as const) {
        const browser = await signedIn(adminToken, await stage.replica(other))
        expect((await browser.send('GET', '/control/status')).body).toMatchObject({ ...state, open: false })
        for (const verb of ['enable', 'disable']) {
          const answer = await browser.send('POST', `/control/${verb}`)
          expect(outcome(answer)).toEqual([503, 'service_unconfigured'])
          expect(answer.body.error_description).toContain(missing)
        }
      }
      const lost = await stage.replica({ CONTROL_GATE_FILE: join(gate, 'not-there') })
      const browser = await signedIn(adminToken, lost)
      expect(outcome(await browser.send('POST', '/control/enable'))).toEqual([503, 'control_gate_stuck'])
      expect((await browser.send('GET', '/control/status')).body.open).toBe(false)
    },
  )

  test('the catalog says what a scope is for', async () => {
    const { scopes, commands } = (await admin.send('GET', '/control/catalog')).body
    expect(scopes).toEqual(controlScopes)
    const app = commands.find(({ command }: { command: string }) => command === 'app')
    expect(app.subcommands).toContainEqual(
      expect.objectContaining({ subcommand: 'list', scope: 'control:app:read' }),
    )
  })
})
