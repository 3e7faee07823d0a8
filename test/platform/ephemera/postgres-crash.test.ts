import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDatabase } from '../../../src/platform/db/client.ts'
import { migrate } from '../../../src/platform/db/migrate.ts'
import { startEmbeddedPostgres } from '../../../src/platform/embedded/start.ts'
import { databaseClock } from '../../../src/platform/ephemera/birth.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { databaseSettings } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { silent } from '../bus/postgres-store.ts'

test('after a crash of the server no token from before it passes, used or not (storage-and-operations §21, 27a)', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'caracal-crash-'))
  const store = await startEmbeddedPostgres({ dataDir: join(directory, 'store'), log: silent })
  try {
    await migrate(store.connection, { log: silent })
    await using db = await openDatabase({
      connection: store.connection,
      applicationName: 'caracal-test',
      settings: databaseSettings,
      log: silent,
    })
    await using ephemera = createPostgresEphemera({ db, log: silent })
    await ephemera.replay.establish(new AbortController().signal)
    const issued = Math.floor((await databaseClock(db)) / 1000)
    expect(await ephemera.replay.claim('seen:jti:used', 'r', 60_000, issued)).toBe('fresh')
    expect(await ephemera.replay.claim('seen:jti:used', 'r', 60_000, issued)).toBe('replayed')

    process.kill(store.pid as number, 'SIGKILL')
    let outcome: string | null = null
    await eventually(
      async () => {
        outcome = await ephemera.replay.claim('seen:jti:used', 'r', 60_000, issued).catch(() => null)
        return outcome === 'predates_memory'
      },
      { what: 'the server is back', timeoutMs: 20_000 },
    )
    expect(await ephemera.replay.claim('seen:jti:unused', 'r', 60_000, issued)).toBe('predates_memory')
    const refusedAt = await databaseClock(db)
    await eventually(async () => (await databaseClock(db)) - refusedAt > 1000, { what: 'a second later' })
    const later = Math.floor((await databaseClock(db)) / 1000)
    expect(await ephemera.replay.claim('seen:jti:later', 'r', 60_000, later)).toBe('fresh')
  } finally {
    await store[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true })
  }
}, 60_000)
