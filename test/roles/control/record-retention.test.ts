/** Authority records that ran out long ago go; what rests on them, and what they tell of their subjects, stays. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { subjectSeen } from '../../../src/roles/control/store/authority.ts'
import { listSubjects } from '../../../src/roles/control/store/subjects.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { createStage, type Stage } from './stage.ts'

let stage: Stage
let zone: string
beforeAll(async () => {
  stage = await createStage()
  zone = await stage.zone()
})
afterAll(() => stage[Symbol.asyncDispose]())

async function run(name: string): Promise<void> {
  const job = stage.control.jobs.find((candidate) => candidate.name === name)
  await job?.run(jobContext())
}

async function record(
  subject: string | null,
  daysPast: number,
  parent: string | null = null,
): Promise<string> {
  const id = uuidv7()
  await stage.database.admin`
    insert into authority_records
      (id, zone_id, session_type, subject_id, parent_id, created_at, authenticated_at, expires_at)
    values (${id}, ${zone}, 'user', ${subject}, ${parent}, now() - make_interval(days => ${daysPast + 1}), now(),
            now() - make_interval(days => ${daysPast}))`
  return id
}

const kept = async (ids: readonly string[]) => {
  const rows = await stage.database.admin<{ id: string }[]>`
    select id from authority_records where id = any(${ids as string[]}::text[])`
  return ids.filter((id) => rows.some((row) => row.id === id))
}

test('what ran out longer ago than its retention goes, however much of it there is', async () => {
  const old = await record('past', 91)
  const young = await record('past', 89)
  await stage.database.admin`
    insert into authority_records (id, zone_id, session_type, created_at, authenticated_at, expires_at)
    select gen_random_uuid()::text, ${zone}, 'application', now() - interval '92 days', now(), now() - interval '91 days'
    from generate_series(1, 1100)`
  await run('authority_record_retention')
  expect(await kept([old, young])).toEqual([old, young])
  await run('authority_record_reaper')
  await run('authority_record_retention')
  expect(await kept([old, young])).toEqual([young])
  expect(await stage.database.admin`select 1 from authority_records where subject_id is null`).toEqual([])
})

test('the subject of records that are gone is still one that was seen', async () => {
  const id = await record('long-ago', 200)
  await run('authority_record_reaper')
  await run('authority_record_retention')
  expect(await kept([id])).toEqual([])
  const { db } = stage.database
  expect(await subjectSeen(db, zone, 'long-ago')).toBe(true)
  const page = await listSubjects(db, zone, { subject_id: 'long-ago' }, { limit: 1 })
  expect(page.items).toMatchObject([{ total_sessions: 1, active_sessions: 0 }])
})

test('a record that a session or a kept record rests on stays until they are gone', async () => {
  const { admin } = stage.database
  const ground = await record('holder', 300)
  const parent = await record('holder', 300)
  const child = await record('holder', 80, parent)
  const [app] = await admin<{ id: string }[]>`
    insert into applications (id, zone_id, name, registration_method)
    values (${uuidv7()}, ${zone}, 'a', 'managed') returning id`
  const session = uuidv7()
  await admin`
    insert into agent_sessions
      (id, zone_id, application_id, session_sid, status, lifecycle, ttl_seconds, spawned_at, terminated_at)
    values (${session}, ${zone}, ${app?.id ?? ''}, ${ground}, 'terminated', 'task', 60, now(), now())`
  await run('authority_record_reaper')
  await run('authority_record_retention')
  expect(await kept([ground, parent, child])).toEqual([ground, parent, child])
  await admin`delete from agent_sessions where id = ${session}`
  await admin`update authority_records set expires_at = now() - interval '91 days' where id = ${child}`
  await run('authority_record_retention')
  await run('authority_record_retention')
  expect(await kept([ground, parent, child])).toEqual([])
})
