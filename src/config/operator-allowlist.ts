/**
 * The file of people who may use the console (sdk-cli-console §12.9):
 * `{"emails":{"<lower-case e-mail or @domain>":"active"|"locked"|"removed"}}`. An entry is
 * never taken out again: `removed` is what tells the server to forget the account too.
 */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDirectory } from './secrets.ts'

const standings = ['active', 'locked', 'removed'] as const
export type Standing = (typeof standings)[number]

/** Standing by lower-case e-mail address or `@domain`. */
export type OperatorAllowlist = ReadonlyMap<string, Standing>

/** The file within a directory of secrets. */
export function allowlistPath(secretsDirectory: string): string {
  return join(secretsDirectory, 'allowlist', 'operatorAllowlist.json')
}

/** An address or `@domain` as the file spells it; `null` when it is neither. */
export function allowlistEntry(text: string): string | null {
  const entry = text.trim().toLowerCase()
  return /^[^\s@,"\\]{0,64}@[^\s@,"\\]{1,253}$/.test(entry) ? entry : null
}

/** The entries; empty without a file. Throws a sentence when any part of it cannot be understood. */
export function readAllowlist(path: string): OperatorAllowlist {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return new Map()
    throw new Error(`${path} cannot be read (${code ?? 'error'})`)
  }
  const emails = emailsOf(text)
  if (emails === null) throw new Error(`${path} is not an allowlist: mend it or remove it`)
  for (const [entry, standing] of emails)
    if (allowlistEntry(entry) !== entry || !(standings as readonly unknown[]).includes(standing))
      throw new Error(`${path} has an entry that cannot be understood: ${JSON.stringify(entry.slice(0, 80))}`)
  return new Map(emails as [string, Standing][])
}

function emailsOf(text: string): [string, unknown][] | null {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(body) || Object.keys(body).some((key) => key !== 'emails')) return null
  return isObject(body.emails) ? Object.entries(body.emails) : null
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Replaces the file at once: the server reads it on every request and must never see half of it. */
export function writeAllowlist(path: string, entries: OperatorAllowlist): void {
  const directory = dirname(path)
  // Only the list may be read by others, not what lies beside it.
  makeDirectory(dirname(directory), 0o700)
  makeDirectory(directory, 0o755)
  chmodSync(directory, 0o755)
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
  const fresh = `${path}.${process.pid}`
  try {
    writeFileSync(fresh, `${JSON.stringify({ emails: Object.fromEntries(sorted) }, null, 2)}\n`)
    chmodSync(fresh, 0o644)
    renameSync(fresh, path)
  } finally {
    rmSync(fresh, { force: true })
  }
}
