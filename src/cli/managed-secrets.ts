/** Where the server on this host keeps what it made for itself. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { caracalHome, secretsDirectory } from '../config/home.ts'
import { type Environment, storePlace } from '../config/load.ts'
import type { RoleName } from '../platform/role.ts'
import { hasDependencies } from './background/containers.ts'
import { backgroundFiles } from './background/process.ts'

/**
 * The data directory of the embedded store that a command means: the one that is named, else that of the
 * working directory when a server ran there, else that of `caracal up`.
 */
export function embeddedDataDirectory(env: Environment, cwd: string): string {
  const here = resolve(cwd, env.CARACAL_DATA_DIR || '.caracal')
  return env.CARACAL_DATA_DIR || existsSync(join(here, 'secrets')) ? here : join(caracalHome(env), 'data')
}

/**
 * The environment of a command about what a store holds, with the data directory of the embedded one it means.
 * Throws where that is none: starting an empty one to find nothing in it would answer another question.
 */
export function ofExistingStore(env: Environment, cwd: string, roles: readonly RoleName[]): Environment {
  const dataDir = embeddedDataDirectory(env, cwd)
  const found = { ...env, CARACAL_DATA_DIR: dataDir }
  if (storePlace(found, roles, cwd).embedded && !existsSync(join(dataDir, 'pg')))
    throw new Error(`there is no store in ${dataDir}: set DATABASE_URL or CARACAL_DATA_DIR`)
  return found
}

export interface ManagedSecrets {
  readonly directory: string
  /** They are kept beside an embedded store. */
  readonly embedded: boolean
}

/** Where a server with this environment keeps its secrets, as role control sees it. */
export function managedSecrets(env: Environment, cwd: string): ManagedSecrets {
  const place = storePlace(env, ['control'], cwd)
  const dataDir = embeddedDataDirectory(env, cwd)
  const files = backgroundFiles(env)
  const inContainers = dataDir === files.data && hasDependencies(files)
  const embedded = place.embedded && !inContainers
  return { embedded, directory: secretsDirectory(env, { dev: place.mode === 'dev', embedded, dataDir }) }
}
