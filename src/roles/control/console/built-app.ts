/** The built app in memory (sdk-cli-console §13.1): read once, so that no path of a request ever reaches the disk. */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface BuiltFile {
  readonly type: string
  /** Its name changes with its content. */
  readonly hashed: boolean
  readonly plain: Buffer
  readonly br: Buffer | null
  readonly gz: Buffer | null
}

/** By path below the app: `index.html`, `assets/…`. `null` = it was not built. */
export type BuiltApp = ReadonlyMap<string, BuiltFile> | null

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

/** Where the package has it, beside this file's own build. */
function builtDirectory(): string {
  const above = extname(import.meta.url) === '.js' ? '../../../console/' : '../../../../dist/console/'
  return fileURLToPath(new URL(above, import.meta.url))
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Reads `index.html`, `favicon.svg` and everything in `assets` with a type it knows. */
export function readBuiltApp(directory: string = builtDirectory()): BuiltApp {
  const top = namesIn(directory)
  if (!top.includes('index.html')) return null
  const assets = namesIn(join(directory, 'assets')).map((name) => `assets/${name}`)
  const found = new Set([...top, ...assets])
  const wanted = ['index.html', 'favicon.svg', ...assets].filter((name) => found.has(name))
  const read = (name: string): Buffer | null => (found.has(name) ? readFileSync(join(directory, name)) : null)
  return new Map(
    wanted.flatMap((name) => {
      const type = types[extname(name)]
      const plain = type === undefined ? null : read(name)
      if (type === undefined || plain === null) return []
      const hashed = name.startsWith('assets/')
      return [[name, { type, hashed, plain, br: read(`${name}.br`), gz: read(`${name}.gz`) }] as const]
    }),
  )
}
