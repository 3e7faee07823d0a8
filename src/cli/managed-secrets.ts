/** Where the server on this host keeps what it made for itself. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { caracalHome, secretsDirectory } from '../config/home.ts'
import type { Environment } from '../config/load.ts'

/**
 * The secrets directory that a server with this environment uses: with a database of your own it follows
 * from the mode; with the embedded store it is that of the working directory when a server ran there,
 * else that of `caracal up`.
 */
export function managedSecretsDirectory(env: Environment, cwd: string): string {
  const here = resolve(cwd, env.CARACAL_DATA_DIR || '.caracal')
  const embedded = !env.DATABASE_URL
  const dev = env.CARACAL_MODE ? env.CARACAL_MODE.toLowerCase() === 'dev' : embedded
  const background = join(caracalHome(env), 'data')
  const dataDir = env.CARACAL_DATA_DIR || existsSync(join(here, 'secrets')) ? here : background
  return secretsDirectory(env, { dev, embedded: embedded && dev, dataDir })
}
