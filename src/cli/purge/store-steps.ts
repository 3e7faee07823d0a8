/** What `purge` does in a store rather than to files. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../../config/env.ts'
import { loadSettings, usesEmbeddedStore } from '../../config/load.ts'
import { hasDependencies, stopDependencies } from '../background/containers.ts'
import type { Invocation } from '../command.ts'
import { quietLogger } from '../quiet-logger.ts'
import type { Situation } from './targets.ts'

export interface StoreStep {
  /** What it will do, as a person reads it before saying yes. */
  readonly says: string
  /** What it did. */
  run(invocation: Invocation): Promise<string>
}

/** The tables of a database of your own and the keys of Redis. The embedded store is files. */
export function storeSteps(situation: Situation): {
  readonly external: boolean
  readonly steps: readonly StoreStep[]
} {
  if (hasDependencies(situation.files)) return { external: true, steps: [dropContainers(situation)] }
  const settings = settingsOf(situation)
  const external = !usesEmbeddedStore(settings, [])
  return {
    external,
    steps: [
      ...(external ? [dropTables(settings)] : []),
      ...(settings.REDIS_URL === null ? [] : [clearRedis(settings)]),
    ],
  }
}

/** Empty where there is no store. */
export function consoleAccounts(situation: Situation): readonly StoreStep[] {
  const settings = settingsOf(situation)
  if (usesEmbeddedStore(settings, []) && !existsSync(join(situation.dataDir, 'pg'))) return []
  return [
    {
      says: 'remove every account and session of the console from the store',
      async run({ out }) {
        const { connect } = await import('../../platform/db/connection.ts')
        const { openStore } = await import('../../server/store.ts')
        const log = quietLogger((message) => out.status('warn', message))
        await using store = await openStore(settings, [], log)
        const { sql } = connect(
          store.owner,
          {
            applicationName: 'caracal-purge',
            statementTimeoutMs: 60_000,
            idleInTransactionTimeoutMs: 60_000,
          },
          { max: 1, connectTimeoutMs: 5000, idleTimeoutMs: 0 },
        )
        try {
          const [schema] = await sql<{ present: boolean }[]>`
            select to_regclass('console_accounts') is not null as present`
          if (!schema?.present) return 'there is no schema, and so no account'
          const sessions = await sql`delete from console_sessions`
          const accounts = await sql`delete from console_accounts`
          return `removed ${accounts.count} accounts and ${sessions.count} sessions of the console`
        } finally {
          await sql.end({ timeout: 1 })
        }
      },
    },
  ]
}

function settingsOf({ dataDir, env, cwd }: Situation): Settings {
  return loadSettings({ ...env, CARACAL_DATA_DIR: dataDir }, { roles: [], cwd, generateSecrets: false })
}

function dropTables(settings: Settings): StoreStep {
  const url = settings.MIGRATION_DATABASE_URL ?? settings.DATABASE_URL ?? ''
  return {
    says: `drop the tables of Caracal in ${placeOf(url)}`,
    run: async ({ out }) => {
      const { dropSchema } = await import('../../platform/db/drop-schema.ts')
      const { withStore } = await import('../../server/store.ts')
      const variable = settings.MIGRATION_DATABASE_URL === null ? 'DATABASE_URL' : 'MIGRATION_DATABASE_URL'
      const log = quietLogger((message) => out.status('warn', message))
      return `dropped ${await withStore(variable, 0, log, () => dropSchema(url))} tables in ${placeOf(url)}`
    },
  }
}

function dropContainers({ files, env }: Situation): StoreStep {
  return {
    says: 'remove the containers of caracal up --with-deps and their volumes',
    async run({ out }) {
      if (!(await stopDependencies(files, env, out, { volumes: true })))
        throw new Error('the containers and volumes are not removed')
      return 'removed the containers and their volumes'
    },
  }
}

function clearRedis(settings: Settings): StoreStep {
  const url = settings.REDIS_URL ?? ''
  return {
    says: `delete the keys and streams of Caracal in ${placeOf(url)}`,
    run: async ({ out }) => {
      const { forgetInRedis } = await import('../../platform/ephemera/redis-forget.ts')
      const { redisTrouble } = await import('../../server/drivers.ts')
      const log = quietLogger((message) => out.status('warn', message))
      const gone = await forgetInRedis(url, settings, log).catch((error: unknown) => {
        throw redisTrouble(error)
      })
      return `deleted ${gone} keys in ${placeOf(url)}`
    },
  }
}

/** Host and database, without the login. */
function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname === '/' ? '' : pathname}`
}
