import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Settings } from '../../config/env.ts'
import { ConfigError, loadSettings } from '../../config/load.ts'
import { missingBackend } from '../../config/secret-backends.ts'
import { generatedSecrets } from '../../config/secrets.ts'
import { createEnvelopeCipher } from '../../platform/crypto/envelope.ts'
import { type PlaceReport, type ResealFailure, resealEverything } from '../../platform/crypto/reseal.ts'
import { openDatabase } from '../../platform/db/client.ts'
import { APP_ROLE } from '../../platform/db/session-role.ts'
import { openStore } from '../../server/store.ts'
import type { Invocation } from '../command.ts'
import { ofExistingStore } from '../managed-secrets.ts'
import { quietLogger } from '../quiet-logger.ts'

/** One walk at a time. Two would not harm each other, but their counts would mislead. */
const advisoryLock = 'secrets_reseal'

/**
 * Moves what is sealed under SECRET_STORE_KEK_PREVIOUS to SECRET_STORE_KEK (storage-and-operations §8.5).
 * Exit 0 only when nothing is left under another key: then the previous one can go.
 */
export async function reseal({ arguments: { switches }, env, cwd, out }: Invocation): Promise<number> {
  const settings = loadSettings(ofExistingStore(env, cwd, []), {
    roles: [],
    cwd,
    besides: ['SECRET_STORE_KEK', 'SECRET_STORE_KEK_PREVIOUS', 'CARACAL_SECRET_BACKEND'],
  })
  const cipher = cipherOf(settings)
  const log = quietLogger((message) => out.status('warn', message))
  await using store = await openStore(settings, [], log)
  await using db = await openDatabase({
    connection: store.owner,
    applicationName: 'caracal-secrets-reseal',
    settings,
    log,
    ...(store.embedded ? { role: APP_ROLE } : {}),
  })
  using session = await db.session()
  session.lost.catch(() => undefined)
  const [lock] = await session.sql<{ free: boolean }[]>`
    select pg_try_advisory_lock(hashtext(${advisoryLock})) as free`
  if (lock?.free !== true) {
    out.status('fail', 'another caracal secrets reseal is running')
    return 1
  }

  const dryRun = switches.has('dry-run')
  const json = switches.has('json')
  const failures: ResealFailure[] = []
  const places = await resealEverything(db, {
    cipher,
    dryRun,
    onPlace: (place) => {
      if (!json) out.status('step', describe(place, dryRun))
    },
    onFailure: (failure) => {
      if (json) failures.push(failure)
      else out.status('fail', `${failure.table}.${failure.column} of ${failure.key}: ${failure.reason}`)
    },
  })

  const total = (count: (place: PlaceReport) => number): number =>
    places.reduce((sum, place) => sum + count(place), 0)
  const failed = total((place) => place.failed)
  const left = total((place) => place.left)
  const ok = failed === 0 && (dryRun || left === 0)
  if (json) {
    out.line(
      JSON.stringify({
        ok,
        dry_run: dryRun,
        key_id: cipher.keyId,
        resealed: total((place) => place.resealed),
        current: total((place) => place.current),
        raced: total((place) => place.raced),
        failed,
        left,
        places,
        failures,
      }),
    )
    return ok ? 0 : 1
  }
  if (failed > 0)
    out.status(
      'fail',
      `${failed} values could not be opened: name the key they are sealed under in SECRET_STORE_KEK_PREVIOUS, and keep it`,
    )
  else if (dryRun) out.status('ok', `${left} values can be moved under key ${cipher.keyId}`)
  else if (left > 0)
    out.status(
      'fail',
      `${left} values were sealed under another key meanwhile: give every server the new SECRET_STORE_KEK, then run this again`,
    )
  else
    out.status(
      'ok',
      `everything is sealed under key ${cipher.keyId}${settings.SECRET_STORE_KEK_PREVIOUS === null ? '' : ': SECRET_STORE_KEK_PREVIOUS can go'}`,
    )
  const kept = join(settings.CARACAL_DATA_DIR, 'secrets', generatedSecrets.SECRET_STORE_KEK.file)
  if (ok && !dryRun && store.embedded && env.SECRET_STORE_KEK && existsSync(kept))
    out.status(
      'info',
      `a server here reads its key from ${kept} unless SECRET_STORE_KEK is set: write it there`,
    )
  return ok ? 0 : 1
}

function cipherOf(settings: Settings) {
  const { SECRET_STORE_KEK: kek, SECRET_STORE_KEK_PREVIOUS: previous } = settings
  if (settings.CARACAL_SECRET_BACKEND !== 'builtin')
    throw new ConfigError([missingBackend(settings.CARACAL_SECRET_BACKEND)])
  if (kek === null) throw new ConfigError(['SECRET_STORE_KEK is required'])
  return createEnvelopeCipher({
    kek: Buffer.from(kek, 'hex'),
    previous: previous === null ? null : Buffer.from(previous, 'hex'),
  })
}

function describe(place: PlaceReport, dryRun: boolean): string {
  const counts = [
    `${place.resealed} ${dryRun ? 'to move' : 'moved'}`,
    `${place.current} current`,
    ...(place.raced > 0 ? [`${place.raced} written meanwhile`] : []),
    ...(place.failed > 0 ? [`${place.failed} failed`] : []),
  ]
  return `${place.table}.${place.column}: ${counts.join(', ')}`
}
