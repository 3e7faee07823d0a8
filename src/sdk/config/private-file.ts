/** Files that hold secrets: read only when nobody else can read them too. */
import { readFileSync, statSync } from 'node:fs'

/** The trimmed content. Throws when the file is missing, empty, or open to group or others (POSIX). */
export function readPrivateFile(path: string, what: string): string {
  let mode: number
  let text: string
  try {
    mode = statSync(path).mode
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new Error(`${what} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new Error(`${what} can be read by others: chmod 600 it`)
  if (text === '') throw new Error(`${what} is empty`)
  return text
}

export function isWritableByOthers(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o022) !== 0
}
