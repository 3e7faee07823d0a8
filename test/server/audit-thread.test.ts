/** Role audit in a thread of its own: part of the process in all that its operator sees. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { type Running, startCaracal, workingDirectory } from '../cli/process.ts'
import { eventually } from '../fixtures/eventually.ts'
import { setScene } from '../load/scene.ts'
import { allPorts, get } from './store.ts'

// Whole processes start and end here; a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

async function started(
  env: Readonly<Record<string, string>> = {},
  cwd = workingDirectory(),
): Promise<{ server: Running; url: (role: string) => string; cwd: string }> {
  const { ports, env: portVariables } = await allPorts()
  const server = startCaracal(['serve'], {
    cwd,
    env: { ...portVariables, CARACAL_AUDIT_THREAD: 'on', ...env },
  })
  return { server, cwd, url: (role) => `http://127.0.0.1:${ports[role as keyof typeof ports]}` }
}

/** A module that runs in the thread and not beside it, for as long as it lasts. */
function saboteur(cwd: string, act: string): Record<string, string> {
  const module = join(cwd, 'saboteur.mjs')
  writeFileSync(
    module,
    `import { isMainThread } from 'node:worker_threads'\nimport { existsSync } from 'node:fs'\nif (!isMainThread) { ${act} }\n`,
  )
  return { NODE_OPTIONS: `--import ${module}` }
}

describe('the thread of role audit', () => {
  it('answers on its port, keeps the evidence of a mint, logs with the process and ends with it', async () => {
    const { server, url, cwd } = await started()
    const ready = await server.line('ready')
    expect(ready.roles).toEqual(['sts', 'control', 'coordinator', 'audit', 'gateway'])
    const opened = server.lines().filter(({ msg }) => msg === 'listening')
    expect(opened.map(({ service }) => service)).toEqual([
      'sts',
      'control',
      'control',
      'coordinator',
      'audit',
      'gateway',
    ])
    expect((await server.line('thread ready')).pid).toBe(server.child.pid)
    expect(await get(`${url('audit')}/ready`)).toEqual({ status: 200, body: '{"ok":true,"ready":true}' })

    const adminToken = readFileSync(join(cwd, '.caracal', 'secrets', 'caracalAdminToken'), 'utf8').trim()
    const urls = Object.fromEntries(
      ['control', 'coordinator', 'sts', 'gateway', 'audit'].map((role) => [role, url(role)]),
    ) as Parameters<typeof setScene>[0]['urls']
    await using scene = await setScene({ urls, adminToken }, 1)
    expect(scene.actors).toHaveLength(1)
    await eventually(async () =>
      /^caracal_audit_inserts_total [1-9]/m.test((await get(`${url('audit')}/metrics`)).body),
    )

    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
    const ends = server.lines().filter(({ msg }) => msg?.endsWith('stopped'))
    expect(ends.map(({ msg }) => msg)).toEqual(['thread stopped', 'stopped'])
  })

  it('is not made when it is not wanted', async () => {
    const { server, url } = await started({ CARACAL_AUDIT_THREAD: 'off' })
    await server.line('ready')
    expect((await get(`${url('audit')}/ready`)).status).toBe(200)
    expect(server.lines().filter(({ msg }) => msg === 'thread ready')).toEqual([])
  })

  it('takes the process with it when it is lost', async () => {
    const cwd = workingDirectory()
    const flag = join(cwd, 'now')
    const { server } = await started(
      saboteur(
        cwd,
        `setInterval(() => { if (existsSync(${JSON.stringify(flag)})) throw new Error('lost its mind') }, 20).unref()`,
      ),
      cwd,
    )
    await server.line('ready')
    writeFileSync(flag, '')
    expect((await server.finished).code).toBe(1)
    const fatal = server.lines().find(({ msg }) => msg === 'the server cannot go on')
    expect(JSON.stringify(fatal)).toContain('lost its mind')
  })

  it('fails the start when it cannot start', async () => {
    const cwd = workingDirectory()
    const { server } = await started(saboteur(cwd, `throw new Error('will not start')`), cwd)
    const { code, stderr } = await server.finished
    expect(code).toBe(1)
    expect(stderr).toContain('will not start')
    expect(server.lines().some(({ msg }) => msg === 'ready')).toBe(false)
  })

  it('ends with a process that is told to stop while it starts', async () => {
    const { server } = await started()
    await server.line('schema migrated')
    server.child.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
  })
})
