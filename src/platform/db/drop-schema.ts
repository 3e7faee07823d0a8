/**
 * Takes out of a database what the migrations put in, and nothing else: names are read from
 * their own text. No `cascade`: something of somebody else that stands on a table of ours
 * stops it with a sentence, and then nothing was dropped.
 */
import { readFile } from 'node:fs/promises'
import type postgres from 'postgres'
import { type ConnectionTarget, connect } from './connection.ts'
import { appliedVersions, buildVersions, migrationFile } from './migrate.ts'

const applicationName = 'caracal-purge'

/** The number of tables that went. Rejects while processes of the deployment are connected. */
export async function dropSchema(target: ConnectionTarget): Promise<number> {
  const { tables, functions } = await made()
  const { sql } = connect(
    target,
    { applicationName, statementTimeoutMs: 60_000, idleInTransactionTimeoutMs: 60_000 },
    { max: 1, connectTimeoutMs: 5000, idleTimeoutMs: 0 },
  )
  try {
    return await sql.begin(async (tx) => {
      await refuseWhileInUse(tx)
      await refuseNewer(tx)
      const present = await tx<{ name: string }[]>`
        select relname as name
        from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname = any(${tables})`
      if (present.length > 0) await tx`drop table ${tx(present.map(({ name }) => name) as never)}`
      // One name may stand for several, each with parameters of its own.
      const declared = await tx<{ signature: string }[]>`
        select oid::regprocedure::text as signature
        from pg_proc
        where pronamespace = 'public'::regnamespace and proname = any(${functions})`
      for (const { signature } of declared) await tx.unsafe(`drop function ${signature}`)
      return present.length
    })
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function made(): Promise<{ readonly tables: string[]; readonly functions: string[] }> {
  const tables = new Set<string>()
  const functions = new Set<string>()
  for (const version of await buildVersions()) {
    const text = await readFile(migrationFile(version), 'utf8')
    for (const [, name = ''] of text.matchAll(/^create (?:unlogged )?table "?(\w+)"?/gim)) tables.add(name)
    for (const [, name = ''] of text.matchAll(/^create (?:or replace )?function (?:public\.)?(\w+)/gim))
      functions.add(name)
  }
  return { tables: [...tables], functions: [...functions] }
}

async function refuseWhileInUse(sql: postgres.ISql): Promise<void> {
  const others = await sql<{ name: string }[]>`
    select distinct application_name as name
    from pg_stat_activity
    where datname = current_database()
      and application_name like 'caracal-%'
      and application_name <> ${applicationName}`
  if (others.length > 0)
    throw new Error(
      `the tables cannot be dropped while processes use them: ${others.map(({ name }) => name).join(', ')}`,
    )
}

async function refuseNewer(sql: postgres.ISql): Promise<void> {
  const known = new Set(await buildVersions())
  const newer = [...(await appliedVersions(sql)).keys()].filter((version) => !known.has(version))
  if (newer.length > 0)
    throw new Error(`a newer release made this schema (${newer.join(', ')}): use that one to drop it`)
}
