/**
 * A journal directory that can run full. Where this account may mount one it is a file system of a
 * few megabytes; elsewhere its permission to write is taken, which is the failure of a read-only disk.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface FillableDirectory extends Disposable {
  readonly path: string
  readonly how: 'tmpfs' | 'read-only'
  fill(): void
  free(): void
}

/** Room for the evidence of some seconds without a bus, so that it is full when it is filled and not before. */
const pages = 4096
const pageBytes = 4096

/** Makes `path`, and leaves room for `pages` small files in it. */
export function createFillableDirectory(path: string): FillableDirectory {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return mounted(path) ? onTmpfs(path) : onPermissions(path)
}

function mounted(path: string): boolean {
  if (process.platform !== 'linux') return false
  try {
    const size = `size=${pages * pageBytes}`
    execFileSync('mount', ['-t', 'tmpfs', '-o', `${size},mode=0700`, 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function onTmpfs(path: string): FillableDirectory {
  const filler = join(path, '.filler')
  return {
    path,
    how: 'tmpfs',
    fill() {
      for (let left = pages; left > 0; left -= 1) {
        try {
          writeFileSync(filler, Buffer.alloc(pageBytes), { flag: 'a' })
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return
          throw error
        }
      }
    },
    free: () => rmSync(filler, { force: true }),
    [Symbol.dispose]: () => execFileSync('umount', ['-l', path], { stdio: 'ignore' }),
  }
}

function onPermissions(path: string): FillableDirectory {
  return {
    path,
    how: 'read-only',
    fill: () => chmodSync(path, 0o500),
    free: () => chmodSync(path, 0o700),
    [Symbol.dispose]: () => chmodSync(path, 0o700),
  }
}
