/** audit-and-events §14.2: the hourly archive, to a directory and to an object store. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { archive, archiveKey, archiveWatermark } from '../../../src/roles/audit/export/archive.ts'
import { type ArchiveTarget, directoryTarget } from '../../../src/roles/audit/export/archive-target.ts'
import { s3Target } from '../../../src/roles/audit/export/s3-target.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { appendEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify } from '../../../src/roles/audit/ingest/classify.ts'
import { lastExportedHour } from '../../../src/roles/audit/store/export-watermark.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { testSettings } from '../../fixtures/settings.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }
const log = pino({ level: 'silent' })
const hourMs = 3_600_000
const lastHour = Math.floor((Date.now() - 5 * 60_000) / hourMs) * hourMs - hourMs

let store: TestDatabase
let directory: string
let bucket: Server
const objects = new Map<string, { body: Buffer; headers: IncomingHttpHeaders }>()

beforeAll(async () => {
  store = await createTestDatabase()
  directory = await mkdtemp(join(tmpdir(), 'caracal-archive-test-'))
  bucket = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const path = request.url ?? ''
    const taken = objects.has(path) && request.headers['if-none-match'] === '*'
    if (!taken) objects.set(path, { body: Buffer.concat(chunks), headers: request.headers })
    response.writeHead(taken ? 412 : 200).end()
  })
  await new Promise<void>((resolve) => bucket.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  bucket.closeAllConnections()
  bucket.close()
  await store[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** Stores events and moves them to the hour they should have been ingested in. */
async function ingestedAt(hour: number, zoneId: string, ...decisions: string[]): Promise<void> {
  const events = decisions.map((decision) => {
    const data = JSON.stringify({
      id: uuidv7(),
      zone_id: zoneId,
      event_type: 'token_exchange',
      request_id: 'r',
      decision,
      evaluation_status: 'complete',
      metadata_json: { a: 1 },
      occurred_at: new Date(hour).toISOString(),
    })
    const classified = classify({ id: '1-0', stream: 's', fields: frame('x', data, key) }, key)
    if (!classified.ok) throw new Error(classified.reason)
    return classified.event
  })
  await appendEvents(store.db, key, events)
  await store.admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`
    await sql`update audit_events set ingested_at = ${new Date(hour + 1000)} where occurred_at = ${new Date(hour)}`
  })
}

const run = (...targets: ArchiveTarget[]) => {
  const counts = { events: 0, errors: 0, durationSeconds: 0, backlogHours: 0 }
  return archive({ db: store.db, log, targets, scratch: null, counts }, new AbortController().signal).then(
    () => counts,
  )
}

it('takes the last complete hour first, then hour by hour, in order and only once', async () => {
  await ingestedAt(lastHour - hourMs, 'zone-a', 'allow')
  await ingestedAt(lastHour, 'zone-b', 'deny')
  await ingestedAt(lastHour, 'zone-a', 'allow', 'Deny')
  const target = directoryTarget(directory)
  expect(await run(target)).toMatchObject({ events: 3, backlogHours: 0 })
  const path = join(directory, archiveKey(lastHour))
  const records = gunzipSync(await readFile(path))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(records.map((one) => [one.zone_id, one.chain_seq, one.severity_id, one.activity_id])).toEqual([
    ['zone-a', 2, 1, 1],
    ['zone-a', 3, 2, 2],
    ['zone-b', 1, 2, 2],
  ])
  expect(records[0]).toMatchObject({
    class_uid: 6003,
    type_uid: 600301,
    time: lastHour,
    metadata_version: '1.7.0',
    product_name: 'caracal',
    metadata_json: '{"a": 1}',
    diagnostics_json: '',
    content_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  })
  expect(await lastExportedHour(store.db, archiveWatermark)).toBe(new Date(lastHour).toISOString())
  expect(await run(target)).toMatchObject({ events: 0 })

  await store.admin`update audit_export_watermark set last_exported_hour = ${new Date(lastHour - 3 * hourMs)}`
  // The empty hour makes no file, the one that is there already stays.
  expect(await run(target)).toMatchObject({ events: 4 })
  expect(
    await readdir(
      join(
        directory,
        ...archiveKey(lastHour - hourMs)
          .split('/')
          .slice(0, -1),
      ),
    ),
  ).toContain(
    archiveKey(lastHour - hourMs)
      .split('/')
      .at(-1),
  )
})

it('puts signed objects that are never overwritten', async () => {
  await store.admin`update audit_export_watermark set last_exported_hour = ${new Date(lastHour - hourMs)}`
  const settings = testSettings({
    AUDIT_EXPORT_S3_ENDPOINT: `http://127.0.0.1:${(bucket.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
  })
  const target = s3Target(settings, 'evidence')
  await run(target)
  const object = objects.get(`/evidence/${archiveKey(lastHour)}`)
  expect(object?.headers['x-amz-content-sha256']).toBe(
    createHash('sha256')
      .update(object?.body ?? '')
      .digest('hex'),
  )
  expect(object?.headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/us-east-1\/s3\/aws4_request, SignedHeaders=.*if-none-match.*x-amz-content-sha256/,
  )
  const bytes = object?.body
  await store.admin`update audit_export_watermark set last_exported_hour = ${new Date(lastHour - hourMs)}`
  expect(await run(target)).toMatchObject({ errors: 0 })
  expect(objects.get(`/evidence/${archiveKey(lastHour)}`)?.body).toBe(bytes)
})

it('stays where it is when a target fails', async () => {
  await store.admin`update audit_export_watermark set last_exported_hour = ${new Date(lastHour - hourMs)}`
  const failing: ArchiveTarget = { put: () => Promise.reject(new Error('full')) }
  await expect(run(failing)).rejects.toThrow('full')
  expect(await lastExportedHour(store.db, archiveWatermark)).toBe(new Date(lastHour - hourMs).toISOString())
})
