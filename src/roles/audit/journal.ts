/**
 * The durable replay journal: NDJSON files that hold accepted events while the bus is
 * away (audit-and-events §4). A file appears under its final name only when it is
 * complete and synced, and disappears only when every line of it was accepted by the bus.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A longer line cannot have been written by us and is skipped when read. */
const maxLineBytes = 1024 * 1024

interface JournalFile {
  readonly path: string
  /** Event texts in the order they were written. */
  readonly lines: readonly string[]
}

interface JournalStats {
  readonly files: number
  readonly bytes: number
  readonly oldestAgeSeconds: number
}

export interface Journal {
  /** Resolves when every line is on disk: file and directory synced. Rejects when it cannot be written. */
  append(lines: readonly string[]): Promise<void>
  /** Paths of complete files, oldest first. */
  pending(): Promise<string[]>
  read(path: string): Promise<JournalFile>
  remove(path: string): Promise<void>
  /** Rejects when the directory does not take a file. */
  probe(): Promise<void>
  stats(): Promise<JournalStats>
}

/** Opens (and creates, 0700) the journal in `directory`. */
export function createJournal(directory: string): Journal {
  // Asked for each time: a volume may appear, or come back, while the process runs.
  const ready = () => mkdir(directory, { recursive: true, mode: 0o700 })

  return {
    async append(lines) {
      await ready()
      const name = `pending-${process.pid}-${process.hrtime.bigint()}-${randomBytes(4).toString('hex')}`
      const staged = join(directory, `${name}.partial`)
      try {
        const file = await open(staged, 'wx', 0o600)
        try {
          await file.writeFile(`${lines.join('\n')}\n`)
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(staged, join(directory, `${name}.ndjson`))
      } catch (error) {
        // A full disk does not get emptier by what did not fit on it.
        await rm(staged, { force: true }).catch(() => undefined)
        throw error
      }
      await syncDirectory(directory)
    },

    async pending() {
      await ready()
      const names = (await readdir(directory)).filter((name) => name.endsWith('.ndjson'))
      const dated = await Promise.all(
        names.map(async (name) => ({
          path: join(directory, name),
          at: await modifiedAt(join(directory, name)),
        })),
      )
      return dated.sort((a, b) => a.at - b.at).map((file) => file.path)
    },

    async read(path) {
      const lines = (await readWhole(path)).split('\n')
      return { path, lines: lines.filter((line) => line !== '' && Buffer.byteLength(line) <= maxLineBytes) }
    },

    async remove(path) {
      await rm(path, { force: true })
      await syncDirectory(directory)
    },

    async probe() {
      await ready()
      const path = join(directory, `.ready-${process.pid}-${randomBytes(4).toString('hex')}`)
      const file = await open(path, 'wx', 0o600)
      try {
        // A full disk still makes files; it only keeps nothing in them.
        await file.writeFile('ready\n')
      } finally {
        await file.close()
        await rm(path, { force: true })
      }
    },

    async stats() {
      const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.ndjson'))
      let bytes = 0
      let oldest = Number.POSITIVE_INFINITY
      for (const name of names) {
        const found = await stat(join(directory, name)).catch(() => null)
        if (found === null) continue
        bytes += found.size
        oldest = Math.min(oldest, found.mtimeMs)
      }
      const oldestAgeSeconds = names.length === 0 ? 0 : Math.max(0, (Date.now() - oldest) / 1000)
      return {
        files: names.length,
        bytes,
        oldestAgeSeconds: Number.isFinite(oldestAgeSeconds) ? oldestAgeSeconds : 0,
      }
    },
  }
}

/** Empty when another process of this machine has drained the file meanwhile. */
async function readWhole(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

async function modifiedAt(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.mtimeMs ?? 0
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; there the rename itself is what durability we get.
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
