/** What `caracal purge` can take away, and what each target means on this machine (sdk-cli-console §12.8). */
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { secretsDirectory } from '../../config/home.ts'
import type { Environment } from '../../config/load.ts'
import { generatedSecrets } from '../../config/secrets.ts'
import { configDirectory } from '../../sdk/config/directory.ts'
import { loginPath } from '../api/login-file.ts'
import { historyPath } from '../api/shell.ts'
import type { BackgroundFiles } from '../background/process.ts'
import { consoleAccounts, type StoreStep, storeSteps } from './store-steps.ts'

/** What a target takes away. */
export interface Plan {
  readonly stops?: true
  readonly truncates?: readonly string[]
  readonly removes?: readonly string[]
  readonly steps?: readonly StoreStep[]
}

export interface Situation {
  readonly files: BackgroundFiles
  readonly env: Environment
  readonly cwd: string
}

export interface Target {
  readonly summary: string
  /** Not to be got back. */
  readonly destructive: boolean
  plan(situation: Situation): Plan
}

export const targets = {
  stack: {
    summary: 'end the server in the background',
    destructive: false,
    plan: () => ({ stops: true }),
  },
  logs: {
    summary: 'empty its log',
    destructive: false,
    plan: ({ files }) => ({ truncates: [files.log] }),
  },
  config: {
    summary: 'SDK profile, credentials of guided setup, login, history of the shell',
    destructive: false,
    plan: ({ env }) => {
      const directory = configDirectory(env)
      return {
        removes: [
          join(directory, 'caracal.toml'),
          join(directory, 'runtime'),
          loginPath(env),
          historyPath(env),
        ],
      }
    },
  },
  runtime: {
    summary: 'process id and environment file',
    destructive: false,
    plan: ({ files }) => ({ stops: true, removes: [files.pid, join(files.home, 'caracal.env')] }),
  },
  web: {
    summary: 'accounts and sessions of the console',
    destructive: true,
    plan: (situation) => ({ steps: consoleAccounts(situation) }),
  },
  volumes: {
    summary: 'the store with everything in it, and what Redis holds of it',
    destructive: true,
    plan: (situation) => {
      const steps = storeSteps(situation)
      return steps.external
        ? { stops: true, steps: steps.steps }
        : { stops: true, removes: storeFiles(situation.files), steps: steps.steps }
    },
  },
  secrets: {
    summary: 'generated secrets; what they sealed becomes unreadable',
    destructive: true,
    plan: ({ files, env }) => {
      const directory = secretsDirectory(env, { dev: true, embedded: !env.DATABASE_URL, dataDir: files.data })
      // By name: the directory may be one that holds other things too.
      return {
        stops: true,
        removes: Object.values(generatedSecrets).map(({ file }) => join(directory, file)),
      }
    },
  },
} as const satisfies Readonly<Record<string, Target>>

export type TargetName = keyof typeof targets

/** The cluster, and evidence that waits to be written to it: nothing of it may reach the next one. */
function storeFiles(files: BackgroundFiles): string[] {
  return [...clusterOf(files), join(files.data, 'audit-replay')]
}

/** The cluster; when the store had to be kept elsewhere, the directory that was made for it there too. */
function clusterOf({ data }: BackgroundFiles): string[] {
  const entry = join(data, 'pg')
  if (lstatSync(entry, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return [entry]
  const cluster = readlinkSync(entry)
  const made = dirname(cluster)
  return basename(made).startsWith('embedded-') ? [made, entry] : [cluster, entry]
}

export function isThere(path: string): boolean {
  return existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
