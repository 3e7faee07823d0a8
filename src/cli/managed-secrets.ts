/** Where the server on this host keeps what it made for itself. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { caracalHome, secretsDirectory } from '../config/home.ts'
import type { Environment } from '../config/load.ts'

/**
 * The data directory of the embedded store that a command means: the one that is named, else that of the
 * working directory when a server ran there, else that of `caracal up`.
 */
export function embeddedDataDirectory(env: Environment, cwd: string): string {
  const here = resolve(cwd, env.CARACAL_DATA_DIR || '.caracal')
  return env.CARACAL_DATA_DIR || existsSync(join(here, 'secrets')) ? here : join(caracalHome(env), 'data')
}

/** The secrets directory that a server with this environment uses. */
export function managedSecretsDirectory(env: Environment, cwd: string): string {
  const store = !env.DATABASE_URL
  const dev = env.CARACAL_MODE ? env.CARACAL_MODE.toLowerCase() === 'dev' : store
  return secretsDirectory(env, { dev, embedded: store && dev, dataDir: embeddedDataDirectory(env, cwd) })
}
