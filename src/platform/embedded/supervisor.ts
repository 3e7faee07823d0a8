/**
 * One embedded Postgres and this process: makes the cluster, starts the server or joins one, brings it back when it
 * dies, ends it.
 *
 * States: absent → (initdb) → stopped → starting → ready → stopped. One process owns
 * the running server and restarts it when it dies; others that find it running with a
 * live owner are guests: they use it, never stop it, and take over when it is gone.
 * A server whose owner was killed is ended and started afresh, so nothing has to be
 * cleaned up by hand.
 *
 * The server listens on a unix socket in a private directory only. Nothing here
 * installs a process-wide hook: whoever starts a store disposes it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { type Binaries, EmbeddedStoreError } from './binaries.ts'
import {
  cannotRun,
  clusterExists,
  createCluster,
  lastComplaint,
  resetPassword,
  superuser,
} from './cluster.ts'
import { give, makeSocketDirectory, type Place, removeSocketDirectory, socketName } from './place.ts'
import type { EmbeddedConnection, EmbeddedOptions, EmbeddedPostgres } from './port.ts'
import { findPostmaster, isAlive, liveOwner, ownerSetting, type Postmaster } from './postmaster.ts'

const startPatienceMs = 30_000
/** Children of a killed postmaster hold its memory for about a second. */
const recoveryPatienceMs = 5000
const stopPatienceMs = 10_000
const restartsPerMinute = 5

type Hold =
  | { readonly kind: 'owner'; readonly child: ChildProcess; readonly exited: Promise<void> }
  | { readonly kind: 'guest'; readonly pid: number }

export class Supervisor implements EmbeddedPostgres {
  readonly #options: EmbeddedOptions
  readonly #place: Place
  readonly #binaries: Binaries
  readonly #password: string
  readonly #restarts: number[] = []
  #socketDirectory: string | null = null
  #hold: Hold | null = null
  #stopping = false
  #disposing = false
  #disposed: Promise<void> | null = null
  /** A restart under way; disposal waits for it so that nothing is left behind. */
  #acquiring: Promise<void> | null = null
  #watch: NodeJS.Timeout | null = null

  constructor(options: EmbeddedOptions, place: Place, binaries: Binaries, password: string) {
    this.#options = options
    this.#place = place
    this.#binaries = binaries
    this.#password = password
  }

  get connection(): EmbeddedConnection {
    const host = this.#socketDirectory ?? join(this.#place.home, 'sock')
    const { port = 5432 } = this.#options
    return {
      path: join(host, socketName(port)),
      host,
      port,
      user: superuser,
      password: this.#password,
      database: 'caracal',
    }
  }

  get version(): string {
    return this.#binaries.version
  }

  get pid(): number | null {
    return this.#hold?.kind === 'owner' ? (this.#hold.child.pid ?? null) : (this.#hold?.pid ?? null)
  }

  async start(): Promise<void> {
    if (!clusterExists(this.#place, this.#binaries)) {
      this.#options.log.info({ directory: this.#place.cluster }, 'creating the embedded store')
      await createCluster(this.#place, this.#binaries, this.#password)
    }
    await this.#acquire()
    await this.#ensureDatabase()
  }

  /** Joins a server that somebody alive owns, else becomes the owner of a fresh one. */
  async #acquire(): Promise<void> {
    const deadline = Date.now() + recoveryPatienceMs
    while (!this.#disposing) {
      const running = findPostmaster(this.#place.cluster)
      if (running !== null && liveOwner(running) !== null) {
        if (await this.#join(running)) return
      } else {
        if (running !== null) await this.#endOrphan(running)
        const complaint = await this.#launch()
        if (complaint === null) return
        // Another start may have won, or children of a killed server may still be leaving.
        if (Date.now() > deadline)
          throw new EmbeddedStoreError(`the embedded Postgres does not start: ${complaint}`)
      }
      if (Date.now() > deadline + startPatienceMs)
        throw new EmbeddedStoreError('the embedded Postgres does not become ready')
      await sleep(100)
    }
    throw new EmbeddedStoreError('the embedded Postgres was stopped while it started')
  }

  async #join(running: Postmaster): Promise<boolean> {
    if (!running.ready || running.socketDirectory === '') return false
    this.#socketDirectory = running.socketDirectory
    this.#hold = { kind: 'guest', pid: running.pid }
    this.#options.log.info({ postgres_pid: running.pid }, 'using the embedded store of another process')
    this.#watch = setInterval(() => {
      if (!isAlive(running.pid)) this.#lost('the embedded store of another process is gone')
    }, 1000)
    this.#watch.unref()
    return true
  }

  async #endOrphan(running: Postmaster): Promise<void> {
    this.#options.log.warn({ postgres_pid: running.pid }, 'ending an embedded store whose process is gone')
    if (!(await endProcess(running.pid)))
      throw new EmbeddedStoreError(`an earlier embedded Postgres (pid ${running.pid}) does not end`)
    removeSocketDirectory(running.socketDirectory)
  }

  /** Starts the server and waits until it is ready; resolves with its complaint when it ended instead. */
  async #launch(): Promise<string | null> {
    // An earlier owner may have taken its temporary directory away; the address must stay the same.
    this.#socketDirectory ??= makeSocketDirectory(this.#place)
    mkdirSync(this.#socketDirectory, { recursive: true, mode: 0o700 })
    give(this.#socketDirectory, this.#place.account)
    let output = ''
    // Its own session: Ctrl-C in a terminal reaches us, and we stop it when our work is done.
    const child = spawn(this.#binaries.postgres, this.#serverArguments(this.#socketDirectory), {
      ...(this.#place.account ?? {}),
      cwd: '/',
      env: this.#binaries.env,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let failure: Error | null = null
    let gone = false
    const exited = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        failure = cannotRun(this.#binaries.postgres, error)
        gone = true
        resolve()
      })
      child.once('close', () => {
        gone = true
        resolve()
      })
    })
    child.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString()
      output = (output + text).slice(-4000)
      this.#relay(text)
    })
    const deadline = Date.now() + startPatienceMs
    for (let pause = 5; !gone; pause = Math.min(pause * 1.5, 50)) {
      const running = findPostmaster(this.#place.cluster)
      if (running?.pid === child.pid && running?.ready) {
        this.#hold = { kind: 'owner', child, exited }
        void exited.then(() => this.#lost('the embedded Postgres ended by itself'))
        return null
      }
      if (Date.now() > deadline && child.pid !== undefined) {
        await endProcess(child.pid)
        return 'it was not ready within 30 seconds'
      }
      await Promise.race([exited, sleep(pause)])
    }
    if (failure !== null) throw failure
    return lastComplaint(output)
  }

  #serverArguments(socketDirectory: string): string[] {
    const settings: Readonly<Record<string, string>> = {
      listen_addresses: '',
      port: String(this.#options.port ?? 5432),
      unix_socket_permissions: '0700',
      io_method: 'sync',
      shared_buffers: '64MB',
      // A table that starts empty is planned for as if it stayed so, until statistics tell otherwise.
      autovacuum_naptime: '10s',
      max_connections: '100',
      jit: 'off',
      log_checkpoints: 'off',
      // After a crash one call to the kernel, where opening and syncing each file takes seconds.
      ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
      ...this.#options.settings,
    }
    return [
      '-D',
      this.#place.cluster,
      '-k',
      socketDirectory,
      '-c',
      ownerSetting(),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]
  }

  #relay(text: string): void {
    for (const line of text.split('\n')) {
      if (line.trim() === '') continue
      const message = line.replace(/^\S+ \S+ UTC \[\d+\] /, '')
      if (/\b(?:PANIC|FATAL):/.test(line) && !this.#stopping)
        this.#options.log.warn({ postgres: message }, 'postgres')
      else this.#options.log.debug({ postgres: message }, 'postgres')
    }
  }

  /** The server is gone although nobody asked: bring it back, or say that it cannot be done. */
  #lost(message: string): void {
    if (this.#stopping || this.#hold === null) return
    this.#release()
    this.#options.log.error({}, message)
    const now = Date.now()
    this.#restarts.push(now)
    const recent = this.#restarts.filter((at) => now - at < 60_000)
    const fail = (error: Error): void => {
      if (!this.#stopping) this.#options.onFailure?.(error)
    }
    if (recent.length > restartsPerMinute) {
      fail(new EmbeddedStoreError('the embedded Postgres keeps ending by itself'))
      return
    }
    this.#acquiring = this.#acquire()
    this.#acquiring.then(
      () => this.#options.log.info({ postgres_pid: this.pid }, 'the embedded store is back'),
      fail,
    )
  }

  #release(): void {
    this.#hold = null
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#watch = null
  }

  /** Proves that we can log in, and makes the database on first use. */
  async #ensureDatabase(): Promise<void> {
    if (await this.#createDatabase()) return
    if (this.#hold?.kind !== 'owner')
      throw new EmbeddedStoreError('the embedded store of another process refuses our password')
    this.#options.log.warn({}, 'the password file of the embedded store was lost; setting a new password')
    await this.#stop()
    await resetPassword(this.#place, this.#binaries, this.#password)
    this.#stopping = false
    await this.#acquire()
    if (!(await this.#createDatabase()))
      throw new EmbeddedStoreError('the embedded store refuses its own password')
  }

  /** False when the server does not take our password. */
  async #createDatabase(): Promise<boolean> {
    const { path, user, password, database } = this.connection
    const sql = postgres({ path, user, password, database: 'postgres', max: 1, onnotice: () => {} })
    try {
      const [found] = await sql`select 1 from pg_database where datname = ${database}`
      if (found === undefined) await sql.unsafe(`create database "${database}"`)
      return true
    } catch (error) {
      const { code } = error as { code?: string }
      // Somebody else made the database at the same moment.
      if (code === '42P04' || code === '23505') return true
      if (code === '28P01') return false
      throw error
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  async #stop(): Promise<void> {
    this.#stopping = true
    await this.#acquiring?.catch(() => {})
    const hold = this.#hold
    this.#release()
    if (hold?.kind !== 'owner' || hold.child.pid === undefined) return
    await endProcess(hold.child.pid, hold.exited)
  }

  abandon(): void {
    this.#stopping = true
    if (this.#hold?.kind === 'owner') this.#hold.child.kill('SIGINT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposing = true
    this.#disposed ??= (async () => {
      const owner = this.#hold?.kind === 'owner'
      await this.#stop()
      if (owner && this.#socketDirectory !== null) removeSocketDirectory(this.#socketDirectory)
    })()
    await this.#disposed
  }
}

/** Fast shutdown, then immediate, then kill: false only when the process outlives even that. */
async function endProcess(pid: number, exited?: Promise<void>): Promise<boolean> {
  const steps = [
    ['SIGINT', stopPatienceMs],
    ['SIGQUIT', 3000],
    ['SIGKILL', 2000],
  ] as const
  for (const [signal, patience] of steps) {
    try {
      process.kill(pid, signal)
    } catch {
      break
    }
    const deadline = Date.now() + patience
    for (let pause = 5; isAlive(pid) && Date.now() < deadline; pause = Math.min(pause * 1.5, 50))
      await Promise.race([sleep(pause), exited ?? sleep(pause)])
    if (!isAlive(pid)) break
  }
  await Promise.race([exited, sleep(1000)])
  return !isAlive(pid)
}
