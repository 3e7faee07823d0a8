/**
 * The environment of a command: the process's own, less what an untrusted working
 * directory may have slipped in, plus what the operator's files say
 * (sdk-cli-console §12.3, storage-and-operations §10.1).
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { caracalHome } from '../config/home.ts'
import { type Environment, namesOf } from '../config/load.ts'

const directoryFiles = ['.env', '.env.local', '.env.production', '.env.development']

export interface CommandEnvironment {
  readonly env: Environment
  /** Names that were taken out because a file of the working directory holds the same value. */
  readonly removed: readonly string[]
}

/** Missing and malformed files are skipped; nothing given by the process is overridden. */
export function commandEnvironment(given: Environment, cwd: string): CommandEnvironment {
  const env: Record<string, string | undefined> = { ...given }
  const removed = new Set<string>()
  for (const file of directoryFiles) {
    for (const [name, value] of Object.entries(readEnvFile(join(cwd, file)))) {
      if (!name.startsWith('CARACAL_') || value === '' || env[name] !== value) continue
      delete env[name]
      removed.add(name)
    }
  }
  const files = [env.CARACAL_ENV_FILE, join(caracalHome(env), 'caracal.env')]
  for (const file of files) {
    if (!file) continue
    const before = { ...env }
    for (const [name, value] of Object.entries(readEnvFile(file))) {
      if (namesOf(name).every((one) => !before[one])) env[name] = value
    }
  }
  return { env, removed: [...removed] }
}

/** `KEY=VALUE` lines with optional quotes; other lines are skipped. */
function readEnvFile(path: string): Record<string, string> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return {}
  }
  const values: Record<string, string> = {}
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) continue
    const quoted = /^(["'])(.*)\1$/.exec(match[2])
    values[match[1]] = quoted?.[2] ?? match[2]
  }
  return values
}
