/** Where archive files go. A target never replaces a file: what is there counts as done. */
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface ArchiveFile {
  readonly path: string
  readonly bytes: number
  /** Lower-case hex. */
  readonly sha256: string
}

export interface ArchiveTarget {
  /** `key` uses `/`. `exists`: an earlier run put it there. */
  put(key: string, file: ArchiveFile, signal: AbortSignal): Promise<'stored' | 'exists'>
}

/** Files below a directory; each appears complete and synced under its final name. */
export function directoryTarget(directory: string): ArchiveTarget {
  return {
    async put(key, file) {
      const path = join(directory, ...key.split('/'))
      const staged = `${path}.${process.pid}.partial`
      await mkdir(dirname(path), { recursive: true, mode: 0o750 })
      try {
        await copyFile(file.path, staged, constants.COPYFILE_FICLONE)
        await sync(staged)
        await link(staged, path)
        await sync(dirname(path))
        return 'stored'
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return 'exists'
        throw error
      } finally {
        await rm(staged, { force: true })
      }
    },
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
