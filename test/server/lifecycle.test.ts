/** The end of a server: storage-and-operations §21, checks 30–33. */
import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { postmastersBelow, runCaracal, startCaracal, workingDirectory } from '../cli/process.ts'
import { eventually } from '../fixtures/eventually.ts'
import { testKeys } from '../fixtures/settings.ts'
import { allPorts, type ExternalPostgres, externalPostgres, get, type Ports, stableEnv } from './store.ts'

// Whole processes start and end here; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

const body = JSON.stringify({ name: 'Slow' })

/** A management request that is under way until its body is finished. */
async function slowRequest(
  port: number,
): Promise<{ finish(): void; answer: Promise<string>; socket: Socket }> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  socket.write(
    `POST /v1/zones HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${testKeys.CARACAL_ADMIN_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  )
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => {})
  const answer = new Promise<string>((resolve) => socket.once('close', () => resolve(text)))
  return { finish: () => void socket.write(body), answer, socket }
}

describe('with a configured Postgres', () => {
  let store: ExternalPostgres
  let DATABASE_URL: string
  let ports: Ports
  let env: Record<string, string>

  beforeAll(async () => {
    store = await externalPostgres()
    DATABASE_URL = await store.emptyDatabase()
    await runCaracal(['migrate'], { env: { DATABASE_URL } })
    const all = await allPorts()
    ports = all.ports
    env = {
      ...stableEnv,
      ...all.env,
      DATABASE_URL,
      STS_URL: 'http://x',
      CARACAL_GATEWAY_URL: 'http://x',
      CARACAL_COORDINATOR_URL: 'http://x',
    }
  })
  afterAll(() => store[Symbol.asyncDispose]())

  const startControl = async (more: Record<string, string> = {}) => {
    const server = startCaracal(['serve', '--role=control'], { env: { ...env, ...more } })
    await server.line('ready')
    return server
  }

  it('check 30: a request under way is answered, /ready tells of draining, new work is refused, exit 0', async () => {
    const server = await startControl()
    const request = await slowRequest(ports.control)
    await eventually(async () => (await get(`http://127.0.0.1:${ports.control}/health`)).status === 200)
    server.child.kill('SIGTERM')
    await server.line('stopping')
    const url = `http://127.0.0.1:${ports.control}`
    expect(await get(`${url}/ready`)).toEqual({ status: 503, body: '{"ok":false,"draining":true}' })
    expect((await get(`${url}/health`)).status).toBe(200)
    expect((await get(`${url}/v1/zones`)).status).toBe(503)
    request.finish()
    const answer = await request.answer
    expect(answer).toMatch(/^HTTP\/1\.1 201 /)
    expect(answer).toMatch(/^connection: close\r$/im)
    expect((await server.finished).code).toBe(0)
    await expect(get(`${url}/ready`)).rejects.toThrow()
  })

  it('check 30: a request longer than the grace is cut and the exit is 1', async () => {
    const server = await startControl({ SHUTDOWN_GRACE_MS: '1500' })
    const request = await slowRequest(ports.control)
    await eventually(async () => (await get(`http://127.0.0.1:${ports.control}/health`)).status === 200)
    server.child.kill('SIGTERM')
    const { code, stdout } = await server.finished
    expect(code).toBe(1)
    expect(stdout).toContain('1 requests of control were cut')
    expect(await request.answer).toBe('')
  })

  it('check 30: who waits for a human is answered at once, exit 0', async () => {
    const id = randomUUID()
    await store.run(
      DATABASE_URL,
      (sql) => sql`
        with zone as (insert into zones (id, name, slug) values ('waits', 'Waits', 'waits') returning id)
        insert into step_up_challenges
          (id, zone_id, session_id, challenge_type, principal_id, approver_class, privacy_mode, resource_set_hash,
           metadata_json, expires_at)
        select ${id}, zone.id, '', 'human_approval', 'p', 'operator', 'identified', ${Buffer.alloc(32)}, '{}',
               now() + interval '1 hour'
        from zone`,
    )
    const server = startCaracal(['serve', '--role=sts'], { env })
    await server.line('ready')
    const url = `http://127.0.0.1:${ports.sts}/approvals/${id}`
    const waiting = get(`${url}?wait=25`)
    // The connection the poll stands on is there before the next one is answered.
    expect((await get(url)).status).toBe(200)
    server.child.kill('SIGTERM')
    const { status, body } = await waiting
    expect([status, JSON.parse(body)]).toMatchObject([200, { id, state: 'pending' }])
    expect((await server.finished).code).toBe(0)
  })

  it('check 31: a second signal ends the process at once with 128 + its number', async () => {
    const server = await startControl()
    const request = await slowRequest(ports.control)
    await eventually(async () => (await get(`http://127.0.0.1:${ports.control}/health`)).status === 200)
    server.child.kill('SIGTERM')
    await server.line('stopping')
    const began = Date.now()
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(143)
    expect(Date.now() - began).toBeLessThan(8000)
    request.socket.destroy()
  })

  it('check 33: connections that Postgres drops are replaced and the process lives', async () => {
    const server = await startControl()
    const authorization = `Bearer ${testKeys.CARACAL_ADMIN_TOKEN}`
    const list = () => get(`http://127.0.0.1:${ports.control}/v1/zones`, { authorization })
    expect((await list()).status).toBe(200)
    for (let round = 0; round < 3; round += 1) {
      await store.run(
        DATABASE_URL,
        (sql) => sql`
          select pg_terminate_backend(pid)
          from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      )
      await eventually(async () => (await list()).status === 200)
    }
    expect(server.child.exitCode).toBeNull()
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })

  it('check 32: what was answered before a kill -9 is there afterwards, once', async () => {
    const server = await startControl()
    const authorization = `Bearer ${testKeys.CARACAL_ADMIN_TOKEN}`
    const created: string[] = []
    let running = true
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; running; n += 1) {
        const name = `Zone ${writer} ${n}`
        try {
          const response = await fetch(`http://127.0.0.1:${ports.control}/v1/zones`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ name }),
          })
          if (response.status === 201) created.push(name)
          else if (response.status === 429) return
        } catch {
          return
        }
      }
    })
    await eventually(() => created.length >= 40)
    server.child.kill('SIGKILL')
    await server.finished
    running = false
    await Promise.all(writers)

    const names = await store.run(
      DATABASE_URL,
      (sql) => sql<{ name: string }[]>`select name from zones where name like 'Zone %'`,
    )
    const kept = names.map((row) => row.name)
    expect(new Set(kept).size).toBe(kept.length)
    for (const name of created) expect(kept).toContain(name)

    const again = await startControl()
    await eventually(
      async () => {
        const [row] = await store.run(
          DATABASE_URL,
          (sql) =>
            sql<
              { waiting: number }[]
            >`select count(*)::int as waiting from caracal_outbox where status <> 'published'`,
        )
        return row?.waiting === 0
      },
      { timeoutMs: 15_000 },
    )
    again.child.kill('SIGTERM')
    expect((await again.finished).code).toBe(0)
  })
})

describe('embedded', () => {
  it('check 31: a second signal leaves no Postgres behind', async () => {
    const cwd = workingDirectory()
    const { ports, env } = await allPorts()
    const server = startCaracal(['serve'], { cwd, env: { ...env, ...testKeys } })
    await server.line('ready')
    const request = await slowRequest(ports.control)
    await eventually(async () => (await get(`http://127.0.0.1:${ports.control}/health`)).status === 200)
    server.child.kill('SIGINT')
    await server.line('stopping')
    server.child.kill('SIGINT')
    expect((await server.finished).code).toBe(130)
    await eventually(() => postmastersBelow(join(cwd, '.caracal')).length === 0)
    request.socket.destroy()
  })
})
