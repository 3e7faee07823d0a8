/**
 * Where the embedded store keeps its files. Usually all of it is below the data
 * directory; two limits move parts of it elsewhere: the account that Postgres runs
 * as under root must be able to get there, and the path of a unix socket is short.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { makeDirectory } from '../../config/secrets.ts'
import { type Account, chooseAccount, mayEnter } from './account.ts'
import { EmbeddedStoreError } from './binaries.ts'

export interface Place {
  /** Holds libraries, the owner record and, usually, everything else. */
  readonly home: string
  /** The cluster, absolute and without links; exists only after its first start. */
  readonly cluster: string
  readonly account: Account | null
}

const sharedHome = '/var/lib/caracal'

/** Decides where the cluster of `dataDir` is and makes the directories around it. */
function choosePlace(dataDir: string): Place {
  makeDirectory(dataDir, 0o700)
  const root = realpathSync(dataDir)
  const entry = join(root, 'pg')
  // A link tells where an earlier start had to put the cluster.
  const moved = linkTarget(entry)
  if (moved !== null) {
    const home = dirname(moved)
    if (!existsSync(home)) {
      throw new EmbeddedStoreError(
        `the embedded store of ${root} is missing: ${entry} points to ${moved}, which does not exist`,
      )
    }
    return { home, cluster: moved, account: chooseAccount(statOf(moved)) }
  }
  const account = chooseAccount(statOf(entry))
  if (account === null) return { home: root, cluster: entry, account }
  openForPassage(root)
  openTemporaryParents(root)
  if (mayEnter(root, account)) return { home: root, cluster: entry, account }
  return { ...elsewhere(root, entry), account }
}

/** Lets others pass through, to names they know; nothing becomes readable. */
function openForPassage(directory: string): void {
  chmodSync(directory, (statSync(directory).mode & 0o7777) | 0o011)
}

/** A private temporary directory of ours that holds the data directory must be passable as well. */
function openTemporaryParents(root: string): void {
  const temporary = realpathSync(tmpdir())
  for (let path = dirname(root); path.startsWith(`${temporary}${sep}`); path = dirname(path))
    if (statSync(path).uid === 0) openForPassage(path)
}

function elsewhere(root: string, entry: string): { readonly home: string; readonly cluster: string } {
  if (existsSync(entry))
    throw new EmbeddedStoreError(
      `Postgres cannot run as root and its account cannot reach ${root}: choose another CARACAL_DATA_DIR, or set DATABASE_URL`,
    )
  try {
    mkdirSync(sharedHome, { recursive: true, mode: 0o755 })
    const home = mkdtempSync(join(sharedHome, 'embedded-'))
    chmodSync(home, 0o711)
    const cluster = join(home, 'pg')
    symlinkSync(cluster, entry)
    return { home, cluster }
  } catch (error) {
    throw new EmbeddedStoreError(
      `Postgres cannot run as root, its account cannot reach ${root} and ${sharedHome} is not writable (${(error as NodeJS.ErrnoException).code}): choose another CARACAL_DATA_DIR, or set DATABASE_URL`,
    )
  }
}

function linkTarget(path: string): string | null {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null
  } catch {
    return null
  }
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/** Name of the socket in its directory. */
export function socketName(port: number): string {
  return `.s.PGSQL.${port}`
}

const temporarySocketPrefix = 'caracal-sock-'

/** Longest path of a unix socket, in bytes, without its terminator. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103

/** Makes the private directory of the socket: below `home`, or a fresh temporary one when that path is too long. */
export function makeSocketDirectory(place: Place): string {
  const usual = join(place.home, 'sock')
  const fits = Buffer.byteLength(join(usual, socketName(65_535))) <= longestSocketPath
  const directory = fits ? usual : mkdtempSync(join(tmpdir(), temporarySocketPrefix))
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  give(directory, place.account)
  return directory
}

/** Removes a temporary socket directory; the usual one stays. */
export function removeSocketDirectory(directory: string): void {
  if (directory.startsWith(join(tmpdir(), temporarySocketPrefix)))
    rmSync(directory, { recursive: true, force: true })
}

/** Hands a file or directory to the account and closes it to everybody else. */
export function give(path: string, account: Account | null): void {
  if (account !== null) chownSync(path, account.uid, account.gid)
  chmodSync(path, statSync(path).isDirectory() ? 0o700 : 0o600)
}

/** As `choosePlace`, once it is known that this account may use it. Rejects with one sentence in an `EmbeddedStoreError`. */
export function openPlace(dataDir: string): Place {
  try {
    const place = choosePlace(dataDir)
    const { uid } = statOrNull(place.cluster) ?? {}
    const ours = process.getuid?.()
    if (uid !== undefined && ours !== undefined && ours !== 0 && uid !== ours)
      throw new EmbeddedStoreError(
        `the embedded store in ${place.cluster} belongs to another account (uid ${uid}): run as that account, or choose another CARACAL_DATA_DIR`,
      )
    return place
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'ENOENT')
      throw new EmbeddedStoreError(
        `CARACAL_DATA_DIR ${dataDir} is not writable (${code}): choose another one, or set DATABASE_URL`,
      )
    throw error
  }
}

function statOrNull(path: string): { readonly uid: number } | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}
