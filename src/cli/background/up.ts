/** `caracal up`: the server in the background, ready when the command returns (sdk-cli-console §12.2). */
import { spawn } from 'node:child_process'
import { chmodSync, closeSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { secretsDirectory } from '../../config/home.ts'
import { type Environment, storePlace } from '../../config/load.ts'
import { roleNames } from '../../config/roles.ts'
import { generatedSecrets } from '../../config/secrets.ts'
import type { Invocation } from '../command.ts'
import type { Output } from '../output.ts'
import { probe } from '../probe.ts'
import { localAddress } from '../server-address.ts'
import { dependenciesPath, hasDependencies, startDependencies } from './containers.ts'
import {
  type BackgroundFiles,
  backgroundFiles,
  isAlive,
  lastLines,
  removePid,
  runningPid,
  writePid,
} from './process.ts'

const readyWithinMs = 120_000
const tellEveryMs = 10_000
const pollEveryMs = 1000

export async function up(invocation: Invocation): Promise<number> {
  const { env, cwd, out } = invocation
  const files = backgroundFiles(env)
  const running = runningPid(files)
  if (running !== null) {
    out.status('info', `already running (pid ${running})`)
    return waitUntilReady(running, env, files, out)
  }
  const environment = await serverEnvironment(files, invocation)
  if (environment === null) return 1
  if ((await migrate(environment, cwd)) !== 0) {
    out.status('fail', 'the schema could not be brought to this release: caracal migrate says more')
    return 1
  }
  const log = openSync(files.log, 'a', 0o600)
  const { size: began } = fstatSync(log)
  const child = spawn(process.execPath, [program(), 'serve', '--role', 'all'], {
    cwd,
    env: environment,
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  const { pid } = child
  if (pid === undefined) throw new Error('the server could not be started')
  writePid(files, pid)
  // Another server may answer on the ports that this one does not get.
  const listening = new Promise<true>((resolve) => child.once('message', () => resolve(true)))
  const code = await waitUntilReady(pid, env, files, out, { logFrom: began, listening })
  if (child.connected) child.disconnect()
  child.unref()
  if (code === 0) tellWhereThingsAre(files, environment, invocation)
  return code
}

/** The variables of the server, its containers started where it has some; `null` when that failed, and was said. */
export async function serverEnvironment(
  files: BackgroundFiles,
  { arguments: { switches }, env, out }: Invocation,
): Promise<Environment | null> {
  mkdirSync(files.home, { recursive: true, mode: 0o700 })
  // The embedded store may run under another account, which must be able to pass through.
  chmodSync(files.home, 0o711)
  const own = { ...env, CARACAL_DATA_DIR: files.data }
  const kept = hasDependencies(files)
  if (!kept && !switches.has('with-deps')) return own
  const named = ['DATABASE_URL', 'REDIS_URL'].find((name) => env[name] || env[`${name}_FILE`])
  if (named !== undefined) {
    out.status(
      'fail',
      kept
        ? `this server keeps its stores in containers, and ${named} names another: unset it, or caracal down -v first`
        : `--with-deps starts stores in containers, and ${named} names one already: use one or the other`,
    )
    return null
  }
  const stores = await startDependencies(files, env, out)
  return stores === null ? null : { ...own, ...stores, CARACAL_MODE: env.CARACAL_MODE || 'dev' }
}

function tellWhereThingsAre(files: BackgroundFiles, env: Environment, { cwd, out }: Invocation): void {
  if (hasDependencies(files))
    out.status('info', `stores in containers: CARACAL_ENV_FILE=${dependenciesPath(files)} for other commands`)
  const place = storePlace(env, roleNames, cwd)
  const dev = place.mode === 'dev'
  if (env.CARACAL_ADMIN_TOKEN || env.CARACAL_ADMIN_TOKEN_FILE || !dev) return
  const secrets = secretsDirectory(env, { ...place, dev })
  out.status('info', `administrator token: ${join(secrets, generatedSecrets.CARACAL_ADMIN_TOKEN.file)}`)
}

function program(): string {
  const path = process.argv[1]
  if (path === undefined) throw new Error('this program does not know where it is')
  return path
}

/**
 * `caracal migrate` in a process of its own: its output is the person's. The embedded store is migrated by
 * the server that keeps it.
 */
export async function migrate(env: Environment, cwd: string): Promise<number | null> {
  if (!storePlace(env, [], cwd).given) return 0
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program(), 'migrate'], { cwd, env, stdio: 'inherit' })
    child.once('error', reject)
    child.once('exit', resolve)
  })
}

interface Start {
  /** Where the log of this server begins. */
  readonly logFrom?: number
  /** Resolves when this server has all its ports. */
  readonly listening?: Promise<true>
}

async function waitUntilReady(
  pid: number,
  env: Environment,
  files: BackgroundFiles,
  out: Output,
  { logFrom = 0, listening = Promise.resolve(true) }: Start = {},
): Promise<number> {
  const began = performance.now()
  let told = ''
  let toldAt = 0
  for (;;) {
    if (!isAlive(pid)) {
      removePid(files)
      out.status('fail', 'the server ended while it started; its last lines:')
      for (const line of lastLines(files, 5, logFrom)) out.errorLine(`  ${line}`)
      return 1
    }
    const listens = await isWithin(listening, pollEveryMs)
    const waiting = listens ? await notReady(env) : ['the server']
    if (waiting.length === 0) {
      out.status('ok', `ready (pid ${pid}), log ${files.log}`)
      return 0
    }
    const now = performance.now()
    const text = `waiting for ${waiting.join(', ')}`
    if (text !== told || now - toldAt > tellEveryMs) {
      out.status('step', text)
      told = text
      toldAt = now
    }
    if (now - began > readyWithinMs) {
      out.status('fail', `not ready after ${readyWithinMs / 1000} s: caracal logs says more`)
      return 1
    }
    if (listens) await sleep(pollEveryMs)
  }
}

const isWithin = (event: Promise<true>, ms: number): Promise<boolean> =>
  Promise.race([event, sleep(ms, false)])

async function notReady(env: Environment): Promise<string[]> {
  const asked = await Promise.all(
    roleNames.map(async (role) => {
      try {
        const url = `${localAddress(role, env)}/ready`
        const { status } = await probe(url, { timeoutMs: 1500, anyCertificate: true })
        return status === 200 ? null : role
      } catch {
        return role
      }
    }),
  )
  return asked.filter((role) => role !== null)
}
