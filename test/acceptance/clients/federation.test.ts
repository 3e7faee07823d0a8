/** sdk-cli-console §16 check 19, and examples/federated-users.js: users of an identity provider of one's own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createAdaptorServer } from '@hono/node-server'
import pino from 'pino'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { createOutbox } from '../../../src/platform/outbox/outbox.ts'
import { createCoordinator } from '../../../src/roles/coordinator/index.ts'
import { decodeJwt } from '../../../src/sdk/advanced.ts'
import { Caracal } from '../../../src/sdk/index.ts'
import { createIdentityIssuer, type IdentityIssuer } from '../../roles/sts/identity-issuer.ts'
import { createWorld, type World } from '../../roles/sts/world.ts'
import { close, listen } from './stage.ts'

let idp: IdentityIssuer
let world: World
let stsUrl: string
let coordinatorUrl: string
const ends: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  idp = await createIdentityIssuer()
  world = await createWorld({}, idp.server.egress)
  await idp.trust(world.db, world.zone.zoneId)
  const { settings, db, bus, ephemera, hasher, sts } = world
  const log = pino({ level: 'silent' })
  const keys = keyRing(settings)
  const outbox = createOutbox({ db, bus, keys, settings, log })
  const deps = { settings, db, bus, ephemera, outbox, keys, hasher, log, metrics: new Registry(), sts }
  const coordinator = createCoordinator(deps)
  await coordinator.prepare(new AbortController().signal)
  const servers = [sts.app, coordinator.app].map((app) => createAdaptorServer({ fetch: app.fetch }))
  const urls = await Promise.all(servers.map((server) => listen(server as Parameters<typeof listen>[0])))
  stsUrl = urls[0] ?? ''
  coordinatorUrl = urls[1] ?? ''
  ends.push(
    ...servers.map((server) => () => close(server as Parameters<typeof close>[0])),
    async () => coordinator[Symbol.asyncDispose](),
    async () => outbox[Symbol.asyncDispose](),
  )
})
afterAll(async () => {
  for (const end of ends) await end()
  await world?.[Symbol.asyncDispose]()
  await idp?.[Symbol.asyncDispose]()
})

it('19: a user of a registered issuer becomes an authority record; one of another issuer does not', async () => {
  const { zoneId, application } = world.zone
  await using caracal = Caracal.fromClientSecret({
    stsUrl,
    coordinatorUrl,
    zoneId,
    applicationId: application.id,
    clientSecret: application.secret,
  })
  const user = await caracal.federateSubject(await idp.idToken())
  expect(user.subjectAuthorityRecordId).toBe(decodeJwt(user.token)?.claims.sid)
  expect(user.expiresInSeconds).toBe(900)
  const stranger = caracal.federateSubject(await idp.idToken({ iss: 'https://evil.example/' }))
  await expect(stranger).rejects.toMatchObject({ code: 'invalid_token', httpStatus: 401 })
})

it('federated-users.js acts for the user', async () => {
  const { zoneId, application } = world.zone
  const example = fileURLToPath(new URL('../../../examples/federated-users.js', import.meta.url))
  const child = spawn(process.execPath, [example], {
    env: {
      PATH: process.env.PATH,
      CARACAL_CONFIG_HOME: '/nonexistent',
      CARACAL_ZONE_ID: zoneId,
      CARACAL_APPLICATION_ID: application.id,
      CARACAL_APP_CLIENT_SECRET: application.secret,
      CARACAL_APP_RESOURCES: 'resource://nucleus',
      CARACAL_STS_URL: stsUrl,
      CARACAL_COORDINATOR_URL: coordinatorUrl,
      ID_TOKEN: await idp.idToken(),
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk
    })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect(code, output).toBe(0)
  const [, session, record] = /^session (\S+)\nacts for subject:(\S+)\n$/.exec(output) ?? []
  const rows = await world.db.sql`select session_sid, status from agent_sessions where id = ${session ?? ''}`
  expect([...rows]).toEqual([{ session_sid: record, status: 'terminated' }])
})
