/** The embedded Postgres under a data directory, seen from outside the server that runs it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { closedLoop, type Measured } from './closed-loop.ts'
import { cpuSecondsOfFamily } from './process-cpu.ts'

/** Of lines: pid, data directory, start, port, socket directory (Postgres, `postmaster.pid`). */
function postmasterFile(dataDir: string): string[] {
  const file = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith('postmaster.pid'),
  )
  if (file === undefined) throw new Error('the embedded store is not running')
  return readFileSync(join(dataDir, file), 'utf8').split('\n')
}

export const storePid = (dataDir: string): number => Number(postmasterFile(dataDir)[0])

/** What the driver needs to log in as the owner of the tables, over one connection. */
export function loginOf(dataDir: string) {
  const lines = postmasterFile(dataDir)
  const password = readFileSync(join(dataDir, 'secrets', 'postgresPassword'), 'utf8').trim()
  const where = { host: lines[4] ?? '', port: Number(lines[3]) }
  return { ...where, user: 'caracal', database: 'caracal', password, max: 1 }
}

/** A backend that falls idle tells what it did at the latest after so long (Postgres, `PGSTAT_IDLE_INTERVAL`). */
const toldAfterMs = 10_000

/** Transactions a second of a store whose server has nothing to do, Postgres' own housekeeping included. */
export async function idleTransactions(dataDir: string, seconds: number): Promise<number> {
  const sql = postgres(loginOf(dataDir))
  try {
    const ended = async () => {
      const [row] = await sql<{ ended: number }[]>`
        select (xact_commit + xact_rollback)::int as ended from pg_stat_database where datname = 'caracal'`
      return row?.ended ?? 0
    }
    await sleep(toldAfterMs)
    const before = await ended()
    await sleep(seconds * 1000)
    return ((await ended()) - before) / seconds
  } finally {
    await sql.end()
  }
}

/** One row and its commit, over a connection for each worker: what every write here costs at least. */
export async function bareInserts(dataDir: string, workers: number, seconds: number): Promise<Measured> {
  const sql = postgres({ ...loginOf(dataDir), max: workers, onnotice: () => undefined })
  const pid = storePid(dataDir)
  try {
    await sql`create table bare_inserts (id bigint generated always as identity primary key, said text)`
    const said = 'x'.repeat(200)
    return await closedLoop(
      { workers, seconds },
      async () => {
        await sql`insert into bare_inserts (said) values (${said})`
        return null
      },
      { cpuSeconds: () => cpuSecondsOfFamily(pid), rest: async () => undefined },
    )
  } finally {
    await sql`drop table if exists bare_inserts`
    await sql.end()
  }
}
