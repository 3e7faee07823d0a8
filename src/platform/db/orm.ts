/**
 * Drizzle over a client or an open transaction. The session is built by hand: `drizzle()` would
 * replace the client's own parsers for dates and JSON, for raw statements too, and would wrap
 * errors in a message that spells out every parameter.
 */

import type postgres from 'postgres'
import { PgDialect, PostgresJsDatabase, type PostgresJsPreparedQuery, PostgresJsSession } from './drizzle.ts'
import type { Orm } from './port.ts'

const dialect = new PgDialect()

interface Runs {
  queryWithCache: <T>(query: string, params: unknown[], run: () => Promise<T>) => Promise<T>
}

class PlainErrorSession extends PostgresJsSession<
  postgres.Sql,
  Record<string, never>,
  Record<string, never>
> {
  override prepareQuery(
    ...parameters: Parameters<
      PostgresJsSession<postgres.Sql, Record<string, never>, Record<string, never>>['prepareQuery']
    >
    // biome-ignore lint/suspicious/noExplicitAny: the base method is generic in a type Drizzle does not export
  ): any {
    const prepared = super.prepareQuery(...parameters) as unknown as PostgresJsPreparedQuery<never> & Runs
    prepared.queryWithCache = (_query, _params, run) => run()
    return prepared
  }
}

export function ormOver(client: postgres.Sql | postgres.TransactionSql): Orm {
  const session = new PlainErrorSession(client as postgres.Sql, dialect, undefined)
  return new PostgresJsDatabase(dialect, session, undefined) as Orm
}
