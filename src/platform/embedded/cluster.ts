/** Makes a cluster on first use and repairs access to one whose password is lost. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Binaries, EmbeddedStoreError } from './binaries.ts'
import { give, type Place } from './place.ts'
import { isAlive } from './postmaster.ts'

export const superuser = 'caracal'

/** Clusters that this process is making; others of its pid are left from an earlier process. */
const making = new Set<string>()

/** True when the cluster exists and is of the major version we run; a sentence when it is of another. */
export function clusterExists(place: Place, binaries: Binaries): boolean {
  const file = join(place.cluster, 'PG_VERSION')
  if (!existsSync(file)) return false
  const made = readFileSync(file, 'utf8').trim()
  const ours = binaries.version.split('.')[0] ?? ''
  if (made !== ours)
    throw new EmbeddedStoreError(
      `the embedded store in ${place.cluster} was made by Postgres ${made} and this release runs ${ours}: move it over with pg_dump, or set DATABASE_URL`,
    )
  return true
}

/**
 * Runs initdb beside the final place and moves the result there in one step: a start
 * that was cut short leaves nothing that looks like a cluster, and of two starts at
 * the same moment one wins and the other uses the winner's.
 */
export async function createCluster(place: Place, binaries: Binaries, password: string): Promise<void> {
  const parent = dirname(place.cluster)
  removeAbandoned(parent)
  const fresh = join(parent, `pg.new-${process.pid}-${randomBytes(4).toString('hex')}`)
  making.add(fresh)
  const passwordFile = `${fresh}.password`
  try {
    mkdirSync(fresh, { mode: 0o700 })
    give(fresh, place.account)
    writeFileSync(passwordFile, password, { mode: 0o600 })
    give(passwordFile, place.account)
    await runProgram(binaries.initdb, initdbArguments(fresh, passwordFile), place, binaries)
    try {
      renameSync(fresh, place.cluster)
    } catch (error) {
      if (!existsSync(join(place.cluster, 'PG_VERSION'))) throw error
    }
  } finally {
    rmSync(passwordFile, { force: true })
    rmSync(fresh, { recursive: true, force: true })
    making.delete(fresh)
  }
}

function initdbArguments(cluster: string, passwordFile: string): string[] {
  return [
    '-D',
    cluster,
    '-U',
    superuser,
    '--auth-local=scram-sha-256',
    '--auth-host=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
    // Durability starts with the first start of the server; a torn initdb is thrown away.
    '--no-sync',
    '--no-instructions',
  ]
}

function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = Number(/^pg\.new-(\d+)/.exec(name)?.[1])
    if (!Number.isInteger(pid)) continue
    const path = join(parent, name)
    const busy = pid === process.pid ? [...making].some((one) => path.startsWith(one)) : isAlive(pid)
    if (!busy) rmSync(path, { recursive: true, force: true })
  }
}

/** Sets the superuser's password while no server runs. */
export async function resetPassword(place: Place, binaries: Binaries, password: string): Promise<void> {
  await runProgram(
    binaries.postgres,
    ['--single', '-D', place.cluster, 'postgres'],
    place,
    binaries,
    // The password is hexadecimal, so it needs no quoting.
    `alter role ${superuser} password '${password}'\n`,
  )
}

async function runProgram(
  program: string,
  args: readonly string[],
  place: Place,
  binaries: Binaries,
  input = '',
): Promise<void> {
  const child = spawn(program, args, {
    ...(place.account ?? {}),
    cwd: '/',
    env: binaries.env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(cannotRun(program, error)))
    child.once('close', resolve)
  })
  if (code !== 0)
    throw new EmbeddedStoreError(`the embedded Postgres cannot be set up: ${lastComplaint(output)}`)
}

/** The sentence for a program that did not start at all. */
export function cannotRun(program: string, error: Error): EmbeddedStoreError {
  const { code } = error as NodeJS.ErrnoException
  return new EmbeddedStoreError(
    code === 'ENOENT'
      ? `${program} does not run on this system (it needs glibc): set DATABASE_URL to a Postgres 15 or newer`
      : `${program} cannot be started (${code ?? error.message}): set DATABASE_URL to a Postgres 15 or newer`,
  )
}

/** The most telling line of a program's output. */
export function lastComplaint(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return lines.findLast((line) => /\b(?:FATAL|PANIC|error)\b/i.test(line)) ?? lines.at(-1) ?? 'no output'
}
