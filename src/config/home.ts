/** Directories of the operator: where `caracal.env` and generated secrets live (sdk-cli-console §12.3). */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from './load.ts'

/** `CARACAL_HOME`, else the platform's place for application data. */
export function caracalHome(env: Environment, platform: NodeJS.Platform = process.platform): string {
  if (env.CARACAL_HOME) return resolve(env.CARACAL_HOME)
  if (env.XDG_DATA_HOME) return join(env.XDG_DATA_HOME, 'caracal')
  const home = env.HOME || homedir()
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'caracal')
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'caracal')
  return join(home, '.local', 'share', 'caracal')
}

/** The directory of generated secrets for a mode and store. */
export function secretsDirectory(
  env: Environment,
  store: { readonly dev: boolean; readonly embedded: boolean; readonly dataDir: string },
): string {
  if (env.CARACAL_SECRETS_DIR) return resolve(env.CARACAL_SECRETS_DIR)
  if (store.embedded) return join(store.dataDir, 'secrets')
  if (!store.dev) return join(caracalHome(env), 'secrets')
  return env.CARACAL_DEV_SECRETS_DIR
    ? resolve(env.CARACAL_DEV_SECRETS_DIR)
    : join(caracalHome(env), 'dev-secrets')
}
