/**
 * Postgres refuses to run as root, so under root it runs as an ordinary account
 * and everything it touches must be within that account's reach.
 */
import { readFileSync, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * The account the server runs as: `null` is the one we have. Under root it is the owner of
 * existing data, else `postgres`, else `nobody`.
 */
export function chooseAccount(existingData: Stats | null): Account | null {
  if (process.getuid?.() !== 0) return null
  if (existingData !== null && existingData.uid !== 0) return { uid: existingData.uid, gid: existingData.gid }
  return accountNamed('postgres') ?? accountNamed('nobody') ?? { uid: 65_534, gid: 65_534 }
}

function accountNamed(name: string): Account | null {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${name}:`))
    const [, , uid, gid] = line?.split(':') ?? []
    return uid && gid && Number(uid) !== 0 ? { uid: Number(uid), gid: Number(gid) } : null
  } catch {
    return null
  }
}

/** Whether `account` may run the file at `path`. */
export function mayExecute(path: string, account: Account): boolean {
  const real = realpathSync(path)
  return allows(statSync(real), account) && mayEnter(dirname(real), account)
}

/** Whether `account` may pass through `directory` and all above it. */
export function mayEnter(directory: string, account: Account): boolean {
  for (let path = realpathSync(directory); ; path = dirname(path)) {
    if (!allows(statSync(path), account)) return false
    if (path === dirname(path)) return true
  }
}

function allows(file: Stats, account: Account): boolean {
  if (file.uid === account.uid) return (file.mode & 0o100) !== 0
  if (file.gid === account.gid) return (file.mode & 0o010) !== 0
  return (file.mode & 0o001) !== 0
}
