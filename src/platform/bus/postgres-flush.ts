import type { Sql } from '../db/port.ts'

/**
 * A scalar sub-select, always `off`: the commit of the statement it stands in is answered before it is on disk
 * (`flush: 'later'` of a transaction). What a crash of the store takes back was handed out, acknowledged or told to
 * nobody, and comes again; what a later commit rests on is on disk with that.
 */
export const flushedLater = (sql: Sql) => sql`(select set_config('synchronous_commit', 'off', true))`
