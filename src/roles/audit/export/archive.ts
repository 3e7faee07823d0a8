/**
 * The hourly archive (audit-and-events §14.2): every complete hour of ingest becomes one gzip NDJSON
 * file, in order, never twice. Five minutes pass before an hour counts as complete: a row carries the
 * instant of its insert and becomes visible at commit. The watermark moves only after every target has the file.
 */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Logger } from 'pino'
import type { Database } from '../../../platform/db/port.ts'
import { advanceWatermark, lastExportedHour } from '../store/export-watermark.ts'
import { linksIngested } from '../store/walk-chain.ts'
import type { ArchiveFile, ArchiveTarget } from './archive-target.ts'
import { ocsfRecord } from './ocsf.ts'

export const archiveWatermark = 'ndjson-hourly'

const hourMs = 3_600_000

export interface ArchiveCounts {
  events: number
  errors: number
  /** Of the last hour written. */
  durationSeconds: number
  backlogHours: number
}

export interface ArchiveDeps {
  readonly db: Database
  readonly log: Logger
  readonly targets: readonly ArchiveTarget[]
  /** Scratch directory; null is that of the system. */
  readonly scratch: string | null
  readonly counts: ArchiveCounts
}

/** Catches up hour by hour; rejects at the first hour that fails, which is tried again next time. */
export async function archive(deps: ArchiveDeps, signal: AbortSignal): Promise<void> {
  const { db, counts } = deps
  const last = await lastCompleteHour(db)
  const done = await lastExportedHour(db, archiveWatermark)
  // The first run begins with the last complete hour.
  let hour = done === null ? last : Date.parse(done) + hourMs
  for (; hour <= last && !signal.aborted; hour += hourMs) {
    counts.backlogHours = (last - hour) / hourMs + 1
    try {
      await archiveHour(deps, hour, signal)
    } catch (error) {
      counts.errors += 1
      throw error
    }
    await advanceWatermark(db, archiveWatermark, new Date(hour).toISOString())
  }
  counts.backlogHours = Math.max(0, (last - hour) / hourMs + 1)
}

/** `audit/YYYY/MM/DD/YYYY-MM-DDTHH.ndjson.gz` */
export function archiveKey(hour: number): string {
  const iso = new Date(hour).toISOString()
  return `audit/${iso.slice(0, 10).replaceAll('-', '/')}/${iso.slice(0, 13)}.ndjson.gz`
}

async function archiveHour(deps: ArchiveDeps, hour: number, signal: AbortSignal): Promise<void> {
  const { db, log, targets, counts } = deps
  const startedAt = performance.now()
  if (deps.scratch !== null) await mkdir(deps.scratch, { recursive: true })
  const directory = await mkdtemp(join(deps.scratch ?? tmpdir(), 'caracal-archive-'))
  try {
    const path = join(directory, 'hour.ndjson.gz')
    const { events, file } = await db.transaction(async (tx) => {
      const links = linksIngested(tx, new Date(hour).toISOString(), new Date(hour + hourMs).toISOString())
      return await writeFile(path, links, signal)
    })
    // An empty hour makes no object.
    if (events > 0) for (const target of targets) await target.put(archiveKey(hour), file, signal)
    counts.events += events
    counts.durationSeconds = (performance.now() - startedAt) / 1000
    log.info({ hour: new Date(hour).toISOString(), events, bytes: file.bytes }, 'audit_archived')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function writeFile(
  path: string,
  links: ReturnType<typeof linksIngested>,
  signal: AbortSignal,
): Promise<{ events: number; file: ArchiveFile }> {
  const hash = createHash('sha256')
  let bytes = 0
  let events = 0
  async function* lines(): AsyncGenerator<string> {
    for await (const link of links) {
      events += 1
      yield `${JSON.stringify(ocsfRecord(link))}\n`
    }
  }
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    },
  })
  await pipeline(Readable.from(lines()), createGzip(), count, createWriteStream(path, { mode: 0o600 }), {
    signal,
  })
  return { events, file: { path, bytes, sha256: hash.digest('hex') } }
}

/** Start of the newest hour that ended five minutes ago or more, by the clock of the database; Unix milliseconds. */
async function lastCompleteHour({ sql }: Database): Promise<number> {
  const [row] = await sql<{ hour: Date }[]>`
    select date_trunc('hour', now() - interval '5 minutes', 'UTC') - interval '1 hour' as hour`
  if (row === undefined) throw new Error('the database did not tell the time')
  return row.hour.getTime()
}
