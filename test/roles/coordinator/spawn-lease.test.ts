import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { openRedisServer, type RedisServer } from '../../platform/bus/redis-server.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
let redis: RedisServer
beforeAll(async () => {
  stage = await createStage()
  redis = await openRedisServer()
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

it('starts of a zone take turns on the short lock in Redis, and leave it free', async () => {
  const { store, log, settings, zone } = stage
  await using ephemera = createRedisEphemera({
    url: `redis://${redis.host}:${redis.port}${redis.path}`,
    db: store.db,
    log,
    settings,
  })
  const peer = await stage.peer({ ephemera })
  const key = `coordinator:agent_spawn:${zone.zoneId}`
  expect(await ephemera.setIfAbsent(key, 'someone else', 10_000)).toBe(true)
  let answered = false
  const starting = peer
    .call('POST', stage.at('/agents'), {
      bearer: await stage.mandate(),
      json: { application_id: zone.application.id },
    })
    .finally(() => {
      answered = true
    })
  await sleep(150)
  expect(answered).toBe(false)
  await ephemera.delete(key)
  expect((await starting).status).toBe(201)
  expect(await ephemera.get(key)).toBeNull()
})
