/** Files that hold secrets. */
import { readFileSync, statSync } from 'node:fs'

/** The trimmed content. Throws when the file is missing, empty, or open to group or others (POSIX). */
export function readPrivateFile(path: string, what: string): string {
  const text = readSecretFile(path, what)
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    throw new Error(`${what} can be read by others: chmod 600 it`)
  return text
}

/** The trimmed content, whoever else may read it: container platforms choose the mode of what they mount. */
export function readSecretFile(path: string, what: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new Error(`${what} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
  if (text === '') throw new Error(`${what} is empty`)
  return text
}

export function isWritableByOthers(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o022) !== 0
}
