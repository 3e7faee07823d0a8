/** What `caracal purge` can take away, and what each target means on this machine (sdk-cli-console §12.8). */
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Environment } from '../../config/load.ts'
import { generatedSecrets, storePassword } from '../../config/secrets.ts'
import { configDirectory } from '../../sdk/config/directory.ts'
import { loginPath } from '../api/login-file.ts'
import { historyPath } from '../api/shell.ts'
import type { BackgroundFiles } from '../background/process.ts'
import { managedSecrets } from '../managed-secrets.ts'
import { consoleAccounts, type StoreStep, storeSteps } from './store-steps.ts'

/** What a target takes away. */
export interface Plan {
  /** Ends the server in the background. */
  readonly stops?: boolean
  /** The data directory of an embedded store that nobody may use meanwhile. */
  readonly idle?: string
  readonly truncates?: readonly string[]
  readonly removes?: readonly string[]
  readonly steps?: readonly StoreStep[]
}

export interface Situation {
  readonly files: BackgroundFiles
  /** Of the embedded store that is meant: not always that of the server in the background. */
  readonly dataDir: string
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
        : { ...alone(situation), removes: storeFiles(situation.dataDir), steps: steps.steps }
    },
  },
  secrets: {
    summary: 'generated secrets; what they sealed becomes unreadable',
    destructive: true,
    plan: (situation) => {
      const { env, cwd, dataDir } = situation
      const { directory, embedded } = managedSecrets(env, cwd)
      // By name: the directory may be one that holds other things too.
      const removes = Object.values(generatedSecrets).map(({ file }) => join(directory, file))
      if (!embedded) return { stops: true, removes }
      return { ...alone(situation), removes: [...removes, join(dataDir, 'secrets', storePassword.file)] }
    },
  },
} as const satisfies Readonly<Record<string, Target>>

export type TargetName = keyof typeof targets

const alone = ({ files, dataDir }: Situation) => ({ stops: dataDir === files.data, idle: dataDir })

/** The cluster, and evidence that waits to be written to it: nothing of it may reach the next one. */
function storeFiles(dataDir: string): string[] {
  return [...clusterOf(dataDir), join(dataDir, 'audit-replay')]
}

/** The cluster; when the store had to be kept elsewhere, the directory that was made for it there too. */
function clusterOf(dataDir: string): string[] {
  const entry = join(dataDir, 'pg')
  if (lstatSync(entry, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return [entry]
  const cluster = readlinkSync(entry)
  const made = dirname(cluster)
  return basename(made).startsWith('embedded-') ? [made, entry] : [cluster, entry]
}

export function isThere(path: string): boolean {
  return existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
