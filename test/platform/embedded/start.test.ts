import { execFileSync, spawn } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { afterEach, describe, expect, it } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/platform/embedded/port.ts'
import { startEmbeddedPostgres } from '../../../src/platform/embedded/start.ts'

const scratch: string[] = []
const running: EmbeddedPostgres[] = []
const lines: string[] = []
const tell = (_fields: object, message: string): void => void lines.push(message)
const log = { debug: () => {}, info: tell, warn: tell, error: tell }

function newDataDir(): string {
  const base = mkdtempSync(join(tmpdir(), 'caracal-embedded-'))
  scratch.push(base)
  return join(base, 'data')
}

async function start(
  dataDir: string,
  more: { onFailure?: (error: Error) => void } = {},
): Promise<EmbeddedPostgres> {
  const store = await startEmbeddedPostgres({ dataDir, log, settings: { fsync: 'off' }, ...more })
  running.push(store)
  return store
}

async function query<T>(store: EmbeddedPostgres, text: string): Promise<T[]> {
  const sql = postgres({ ...store.connection, max: 1, onnotice: () => {} })
  try {
    return (await sql.unsafe(text)) as unknown as T[]
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function eventually<T>(what: () => Promise<T>, patienceMs = 15_000): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await what()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

const postmasterPid = (dataDir: string): number =>
  Number(readFileSync(join(dataDir, 'pg', 'postmaster.pid'), 'utf8').split('\n')[0])

afterEach(async () => {
  for (const store of running.splice(0).reverse()) await store[Symbol.asyncDispose]()
  for (const directory of scratch.splice(0)) rmSync(directory, { recursive: true, force: true })
  lines.length = 0
})

describe('embedded Postgres', () => {
  it('check 1: starts from nothing, privately and without TCP, and keeps its data', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)
    await query(first, 'create table kept (n int); insert into kept values (42)')
    expect(statSync(join(dataDir, 'secrets', 'postgresPassword')).mode & 0o777).toBe(0o600)
    expect(statSync(join(dataDir, 'pg')).mode & 0o777).toBe(0o700)
    expect(statSync(first.connection.host).mode & 0o777).toBe(0o700)
    expect(await query(first, 'show listen_addresses')).toEqual([{ listen_addresses: '' }])
    await first[Symbol.asyncDispose]()
    expect(existsSync(join(dataDir, 'pg', 'postmaster.pid'))).toBe(false)

    const began = Date.now()
    const second = await start(dataDir)
    expect(Date.now() - began).toBeLessThan(2000)
    expect(await query(second, 'select n from kept')).toEqual([{ n: 42 }])
  })

  it('check 3: brings a killed server back and loses nothing that was committed', async () => {
    const dataDir = newDataDir()
    const store = await start(dataDir)
    await query(store, 'create table kept as select 7 as n')
    const before = store.pid ?? 0
    process.kill(before, 'SIGKILL')
    expect(await eventually(() => query(store, 'select n from kept'))).toEqual([{ n: 7 }])
    expect(store.pid).not.toBe(before)
  })

  it('says once that a server which keeps dying cannot be brought back', async () => {
    const dataDir = newDataDir()
    const failures: Error[] = []
    const store = await start(dataDir, { onFailure: (error) => failures.push(error) })
    // Without its control file no server of this cluster can start any more.
    rmSync(join(dataDir, 'pg', 'global', 'pg_control'))
    process.kill(store.pid ?? 0, 'SIGKILL')
    await eventually(async () => expect(failures).toHaveLength(1), 15_000)
    expect(failures[0]?.message).toMatch(/^the embedded Postgres does not start: .*pg_control/)
  })

  it('a second start of the same directory is a guest, and takes over when the owner stops', async () => {
    const dataDir = newDataDir()
    const owner = await start(dataDir)
    const guest = await start(dataDir)
    expect(guest.pid).toBe(owner.pid)
    await guest[Symbol.asyncDispose]()
    expect(await query(owner, 'select 1 as n')).toEqual([{ n: 1 }])

    const heir = await start(dataDir)
    await owner[Symbol.asyncDispose]()
    expect(await eventually(() => query(heir, 'select 1 as n'))).toEqual([{ n: 1 }])
    expect(heir.pid).not.toBe(owner.pid)
  })

  it('two first starts at the same moment share one cluster', async () => {
    const dataDir = newDataDir()
    const [one, other] = await Promise.all([start(dataDir), start(dataDir)])
    expect(one.pid).toBe(other.pid)
    expect(await query(other, 'select current_database() as name')).toEqual([{ name: 'caracal' }])
  })

  it('check 3: ends the server that a killed process left behind', async () => {
    const dataDir = newDataDir()
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(new URL('../../../dist/platform/embedded/start.js', import.meta.url).href)})
      const log = { debug() {}, info() {}, warn() {}, error() {} }
      await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log })
      process.stdout.write('up')
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const orphan = postmasterPid(dataDir)
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone

    const store = await start(dataDir)
    expect(store.pid).not.toBe(orphan)
    expect(lines).toContain('ending an embedded store whose process is gone')
    expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }])
  })

  it('is not confused by a lock file whose pid belongs to somebody else now', async () => {
    const dataDir = newDataDir()
    await (await start(dataDir))[Symbol.asyncDispose]()
    const innocent = spawn('sleep', ['60'])
    try {
      execFileSync('sh', [
        '-c',
        `printf '%s\n' ${innocent.pid} x 1 5432 /tmp '' '' ready > "$0"`,
        join(dataDir, 'pg', 'postmaster.pid'),
      ])
      const store = await start(dataDir)
      expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }])
    } finally {
      innocent.kill('SIGKILL')
    }
  })

  it('puts the socket elsewhere when the path of the data directory is too long, and removes it', async () => {
    const dataDir = join(newDataDir(), 'a'.repeat(60), 'b'.repeat(60))
    mkdirSync(dataDir, { recursive: true })
    const store = await start(dataDir)
    expect(store.connection.host.startsWith(dataDir)).toBe(false)
    expect(statSync(store.connection.host).mode & 0o777).toBe(0o700)
    expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }])
    await store[Symbol.asyncDispose]()
    expect(existsSync(store.connection.host)).toBe(false)
  })

  it('sets a new password when the file is lost', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)
    await query(first, 'create table kept as select 3 as n')
    await first[Symbol.asyncDispose]()
    rmSync(join(dataDir, 'secrets'), { recursive: true })
    expect(await query(await start(dataDir), 'select n from kept')).toEqual([{ n: 3 }])
  })

  it('throws a half-made cluster away', async () => {
    const dataDir = newDataDir()
    mkdirSync(join(dataDir, 'pg.new-999999', 'base'), { recursive: true })
    const store = await start(dataDir)
    expect(existsSync(join(dataDir, 'pg.new-999999'))).toBe(false)
    expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }])
  })

  it.runIf(process.getuid?.() === 0)(
    'check 2: under root it works below a directory only root can enter',
    async () => {
      // Not below the system's temporary directory, where private parents are opened for passage.
      const base = mkdtempSync('/var/tmp/caracal-embedded-')
      scratch.push(base)
      const dataDir = join(base, 'data')
      const store = await start(dataDir)
      expect(await query(store, 'select 1 as n')).toEqual([{ n: 1 }])
      expect(lstatSync(join(dataDir, 'pg')).isSymbolicLink()).toBe(true)
      expect(statSync(base).mode & 0o777).toBe(0o700)
      const home = join(store.connection.host, '..')
      await store[Symbol.asyncDispose]()
      const again = await start(dataDir)
      expect(join(again.connection.host, '..')).toBe(home)
      await again[Symbol.asyncDispose]()
      rmSync(home, { recursive: true })
      await expect(start(dataDir)).rejects.toThrow(/is missing/)
    },
  )
})
