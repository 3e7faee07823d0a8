/** A receipt from the management API, checked offline by the command line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseArguments } from '../../../src/cli/arguments.ts'
import { audit } from '../../../src/cli/audit/run.ts'
import { commands } from '../../../src/cli/commands.ts'
import { createOutput } from '../../../src/cli/output.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { createRegistry } from '../../../src/platform/observe/metrics.ts'
import { createAudit, createAuditSink } from '../../../src/roles/audit/index.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { testKeys } from '../../fixtures/settings.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { type CuttableProxy, createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'
import { addressOf, event } from './scene.ts'

const log = pino({ level: 'silent' })
let stage: Stage
let directory: string
let door: CuttableProxy
let zone: string
let id: string

beforeAll(async () => {
  stage = await createStage()
  door = await createCuttableProxy(addressOf(stage.database.connection))
  directory = await mkdtemp(join(tmpdir(), 'caracal-receipt-'))
  const keys = keyRing(stage.settings)
  const deps = { bus: stage.bus, keys, log, metrics: createRegistry() }
  // A deployment has those that ingest.
  await using role = inOneProcess
    ? createAudit({ ...deps, settings: stage.settings, db: stage.database.db })
    : null
  await role?.prepare(new AbortController().signal)
  await using sink = createAuditSink({ ...deps, directory, metricPrefix: 'caracal_sts' })
  zone = await stage.zone('Receipts')
  const events = Array.from({ length: 5 }, () => event(zone))
  id = events[2]?.id ?? ''
  await Promise.all(events.map((one) => sink.emit(one)))
  await eventually(async () => {
    const [row] = await stage.database.admin`
      select count(*)::int as n from audit_events where zone_id = ${zone} and event_type = 'token_exchange'`
    return row?.n === 5
  })
})
afterAll(async () => {
  await door[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

async function caracal(...argv: string[]): Promise<{ code: number; text: string; errors: string }> {
  let text = ''
  let errors = ''
  const stdout = { write: (chunk: string) => (text += chunk) }
  const stderr = { write: (chunk: string) => (errors += chunk) }
  const { flags } = commands.find((one) => one.name === 'audit') ?? { flags: {} }
  const target = stage.database.connection
  const login =
    typeof target === 'string'
      ? new URL(target)
      : new URL(`postgres://${target.user}:${encodeURIComponent(target.password ?? '')}@x/${target.database}`)
  login.host = `127.0.0.1:${door.port}`
  const env = { ...testKeys, CARACAL_MODE: 'dev', DATABASE_URL: login.href }
  const code = await audit({
    arguments: parseArguments(argv, flags),
    words: argv,
    env,
    cwd: directory,
    out: createOutput({}, stdout, stderr),
  })
  return { code, text, errors }
}

it('is served byte for byte as it was signed, and holds offline', async () => {
  const answer = await stage.send('GET', `/v1/zones/${zone}/audit/${id}/receipt`)
  expect(answer.status).toBe(200)
  const keys = await stage.send('GET', `/v1/zones/${zone}/audit/keys`)
  expect(keys.status).toBe(200)
  await writeFile(join(directory, 'receipt.json'), answer.text)
  await writeFile(join(directory, 'keys.json'), keys.text)
  expect(await caracal('verify-receipt', 'receipt.json', '--keys', 'keys.json')).toMatchObject({ code: 0 })
  const unpinned = await caracal('verify-receipt', 'receipt.json')
  expect(unpinned.code).toBe(0)
  expect(unpinned.errors).toContain('only the receipt vouches for this key')
  await writeFile(join(directory, 'forged.json'), answer.text.replace('"allow"', '"deny"'))
  const forged = await caracal('verify-receipt', 'forged.json', '--keys', 'keys.json')
  expect(forged.code).toBe(1)
  expect(forged.errors).toContain('signature_invalid')

  expect((await stage.send('GET', `/v1/zones/${zone}/audit/no-such/receipt`)).status).toBe(404)
  expect(
    (await stage.send('GET', `/v1/zones/${zone}/audit/${id}/receipt`, undefined, { token: null })).status,
  ).toBe(401)
})

it('still holds offline after the zone got a new key, which is told in its ledger', async () => {
  const old = await stage.send('GET', `/v1/zones/${zone}/audit/${id}/receipt`)
  const made = await stage.send('POST', `/v1/zones/${zone}/audit/keys`)
  expect([made.status, made.body.kty, made.body.d]).toEqual([201, 'EC', undefined])
  const keys = await stage.send('GET', `/v1/zones/${zone}/audit/keys`)
  expect(keys.body.keys.map(({ kid }: { kid: string }) => kid)[0]).toBe(made.body.kid)
  expect(keys.body.keys).toHaveLength(2)
  await writeFile(join(directory, 'old.json'), old.text)
  await writeFile(join(directory, 'both.json'), keys.text)
  expect(await caracal('verify-receipt', 'old.json', '--keys', 'both.json')).toMatchObject({ code: 0 })
  const events = await eventually(async () => {
    const told = await stage.database.admin<{ payload_json: { data?: string } }[]>`
      select payload_json from caracal_outbox where topic = 'caracal.audit.events'`
    const ours = told.filter(
      ({ payload_json: { data = '' } }) => data.includes('audit_key_rotated') && data.includes(zone),
    )
    return ours.length > 0 ? ours : null
  })
  expect(JSON.parse(events[0]?.payload_json.data ?? '')).toMatchObject({
    zone_id: zone,
    event_type: 'audit_key_rotated',
    metadata_json: { kid: made.body.kid, previous_kid: keys.body.keys[1].kid },
  })
  const refused = await stage.send('POST', `/v1/zones/${zone}/audit/keys`, undefined, { token: null })
  expect(refused.status).toBe(401)
})

it('caracal audit verify: a zone without any chain is not a verified one', async () => {
  const known = await caracal('verify', '--zone', zone, '--json')
  expect([known.code, JSON.parse(known.text).ok]).toEqual([0, true])
  const told = await caracal('verify', '--zone', `${zone}x`)
  expect(told.code).toBe(1)
  expect(told.errors).toContain(`there is no chain of a zone ${zone}x`)
  const unknown = await caracal('verify', '--zone', `${zone}x`, '--json')
  expect([unknown.code, JSON.parse(unknown.text)]).toMatchObject([1, { ok: false, chains: 0 }])
})

seam('tampers with the ledger of everybody')(
  'caracal audit verify: exit 0 when every chain holds, 1 with zone and sequence when one does not',
  async () => {
    const clean = await caracal('verify', '--json')
    expect(JSON.parse(clean.text)).toMatchObject({ ok: true, findings: [] })
    expect(clean.code).toBe(0)
    await stage.database.admin.begin(async (sql) => {
      await sql`set local session_replication_role = replica`
      await sql`update audit_events set decision = 'deny' where id = ${id}`
    })
    const [row] = await stage.database.admin`select chain_seq::int as seq from audit_events where id = ${id}`
    const found = await caracal('verify', '--zone', zone, '--json')
    expect(found.code).toBe(1)
    expect(JSON.parse(found.text)).toMatchObject({
      ok: false,
      findings: [{ kind: 'content_mismatch', zone_id: zone, chain_seq: row?.seq, event_id: id }],
    })
    const told = await caracal('verify', '--since', new Date(Date.now() - 60_000).toISOString())
    expect(told.code).toBe(1)
    expect(told.errors).toContain(`${zone} #${row?.seq}: content_mismatch`)
  },
)
