// biome-ignore-all lint/style/noRestrictedImports: this is where it comes from.
/**
 * All that is used of Drizzle. The build makes one module of it (`one-module.mjs`): the package has a hundred of them,
 * and the engine spells out its manifest of 180 kB for each, a hundred megabytes that a start would read and drop.
 */
export { getTableColumns, getTableName, sql } from 'drizzle-orm'
export {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  foreignKey,
  index,
  integer,
  PgDialect,
  type PgTable,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
export { PostgresJsDatabase, type PostgresJsPreparedQuery, PostgresJsSession } from 'drizzle-orm/postgres-js'
