/**
 * Postgres and Redis in containers for `caracal up --with-deps` (sdk-cli-console §12.2). Containers and
 * volumes carry a name that follows from the home, so two homes on one host never share them. Both listen
 * on loopback, on ports that are chosen once; passwords reach Docker through the environment only.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Environment } from '../../config/load.ts'
import { freePorts } from '../../server/free-ports.ts'
import type { Output } from '../output.ts'
import type { BackgroundFiles } from './process.ts'

interface Dependencies {
  readonly postgresPort: number
  readonly redisPort: number
  readonly password: string
}

interface Container {
  readonly name: string
  readonly run: readonly string[]
}

/** What `up --with-deps` wrote down; also an environment file for other commands (CARACAL_ENV_FILE). */
export function dependenciesPath({ home }: BackgroundFiles): string {
  return join(home, 'dependencies.env')
}

/** Whether this home keeps its stores in containers. */
export function hasDependencies(files: BackgroundFiles): boolean {
  return existsSync(dependenciesPath(files))
}

/** Starts what is not running and answers the variables of the server; `null` when it could not, and said why. */
export async function startDependencies(
  files: BackgroundFiles,
  env: Environment,
  out: Output,
): Promise<Environment | null> {
  if (!(await dockerAnswers(env, out))) return null
  const wanted = readDependencies(files) ?? (await chooseDependencies(files))
  const secrets = { POSTGRES_PASSWORD: wanted.password, REDIS_PASSWORD: wanted.password }
  for (const { name, run } of containersOf(files, wanted)) {
    const state = await docker(['container', 'inspect', '--format', '{{.State.Running}}', name], env)
    if (state.code === 0 && state.stdout.trim() === 'true') continue
    out.status('step', `start ${name}`)
    const started =
      state.code === 0
        ? await docker(['start', name], env)
        : await docker(['run', '--detach', '--name', name, ...run], { ...env, ...secrets })
    if (started.code !== 0) {
      out.status('fail', `Docker could not start ${name}: ${lastLine(started.stderr)}`)
      return null
    }
  }
  return variablesOf(wanted)
}

/** Ends the containers; with `volumes` nothing of them remains. False when Docker could not, and said why. */
export async function stopDependencies(
  files: BackgroundFiles,
  env: Environment,
  out: Output,
  { volumes }: { readonly volumes: boolean },
): Promise<boolean> {
  const kept = readDependencies(files)
  if (kept === null) return true
  if (!(await dockerAnswers(env, out))) return false
  for (const { name } of containersOf(files, kept)) {
    const commands = volumes
      ? [
          ['rm', '--force', '--volumes', name],
          ['volume', 'rm', '--force', name],
        ]
      : [['stop', name]]
    for (const command of commands) {
      const { code, stderr } = await docker(command, env)
      if (code === 0 || /no such (?:container|volume)/i.test(stderr)) continue
      out.status('fail', `docker ${command.join(' ')}: ${lastLine(stderr)}`)
      return false
    }
    out.status('ok', `${volumes ? 'removed' : 'stopped'} ${name}`)
  }
  if (volumes) rmSync(dependenciesPath(files), { force: true })
  return true
}

function containersOf(files: BackgroundFiles, wanted: Dependencies): Container[] {
  const home = createHash('sha256').update(files.home).digest('hex').slice(0, 8)
  const postgres = `caracal-${home}-postgres`
  const redis = `caracal-${home}-redis`
  return [
    {
      name: postgres,
      run: [
        ...published(wanted.postgresPort, 5432),
        ...['--volume', `${postgres}:/var/lib/postgresql`],
        ...['--env', 'POSTGRES_USER=caracal', '--env', 'POSTGRES_DB=caracal', '--env', 'POSTGRES_PASSWORD'],
        'postgres:18',
      ],
    },
    {
      name: redis,
      run: [
        ...published(wanted.redisPort, 6379),
        ...['--volume', `${redis}:/data`, '--env', 'REDIS_PASSWORD'],
        'redis:8',
        ...['sh', '-c', 'exec redis-server --appendonly yes --requirepass "$REDIS_PASSWORD"'],
      ],
    },
  ]
}

const published = (port: number, inside: number): string[] => ['--publish', `127.0.0.1:${port}:${inside}`]

function variablesOf({ postgresPort, redisPort, password }: Dependencies): Record<string, string> {
  return {
    DATABASE_URL: `postgres://caracal:${password}@127.0.0.1:${postgresPort}/caracal`,
    REDIS_URL: `redis://:${password}@127.0.0.1:${redisPort}`,
    CARACAL_MODE: 'dev',
  }
}

async function chooseDependencies(files: BackgroundFiles): Promise<Dependencies> {
  const [postgresPort = 0, redisPort = 0] = await freePorts(2)
  const chosen = { postgresPort, redisPort, password: randomBytes(24).toString('hex') }
  const lines = Object.entries(variablesOf(chosen)).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(dependenciesPath(files), lines.join(''), { mode: 0o600 })
  return chosen
}

function readDependencies(files: BackgroundFiles): Dependencies | null {
  if (!hasDependencies(files)) return null
  const text = readFileSync(dependenciesPath(files), 'utf8')
  const [, password, postgresPort] =
    /^DATABASE_URL=postgres:\/\/caracal:(\w+)@127\.0\.0\.1:(\d+)\//m.exec(text) ?? []
  const [, redisPort] = /^REDIS_URL=redis:\/\/:\w+@127\.0\.0\.1:(\d+)$/m.exec(text) ?? []
  if (password === undefined || postgresPort === undefined || redisPort === undefined)
    throw new Error(`${dependenciesPath(files)} is broken: remove it, and its containers with docker rm`)
  return { password, postgresPort: Number(postgresPort), redisPort: Number(redisPort) }
}

async function dockerAnswers(env: Environment, out: Output): Promise<boolean> {
  const { code, stderr } = await docker(['version', '--format', '{{.Server.Version}}'], env)
  if (code === 0) return true
  out.status(
    'fail',
    code === null
      ? 'Docker is not installed: without --with-deps Caracal keeps a Postgres of its own and needs no Docker'
      : `Docker does not answer: ${lastLine(stderr)}`,
  )
  return false
}

interface Answer {
  /** `null`: there is no such program. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function docker(args: readonly string[], env: Environment): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const text = { stdout: '', stderr: '' }
    child.stdout.on('data', (chunk: Buffer) => {
      text.stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      text.stderr += chunk.toString()
    })
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ code: null, ...text })
      else reject(error)
    })
    child.once('close', (code) => resolve({ code: code ?? 1, ...text }))
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
