/** Where a person's configuration lives (sdk-cli-console §3.1, §3.2). */
import { homedir } from 'node:os'
import { join } from 'node:path'

export type Environment = Readonly<Record<string, string | undefined>>

export function configDirectory(env: Environment, platform: NodeJS.Platform = process.platform): string {
  if (env.CARACAL_CONFIG_HOME) return env.CARACAL_CONFIG_HOME
  if (env.XDG_CONFIG_HOME) return join(env.XDG_CONFIG_HOME, 'caracal')
  const home = env.HOME || homedir()
  if (platform === 'win32')
    return join(env.APPDATA || env.LOCALAPPDATA || join(home, 'AppData', 'Roaming'), 'Caracal')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'caracal')
  return join(home, '.config', 'caracal')
}

/** An id as one segment of a path: nothing that climbs or hides. */
export function pathSegment(id: string): string {
  const safe = id
    .trim()
    .replaceAll(/[^A-Za-z0-9._-]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
  return safe === '' || /^\.+$/.test(safe) ? 'default' : safe
}
