/**
 * Identifiers. Rows, events and the STS's request ids get UUIDv7 (they sort by creation),
 * other request ids get UUIDv4 (they tell nothing). Within one process UUIDv7 never repeats and
 * never goes back, also when the clock does.
 */
import { randomFillSync, randomUUID } from 'node:crypto'

const poolBytes = 4096
const pool = Buffer.allocUnsafe(poolBytes)
let poolOffset = poolBytes

/** Next `count` random bytes as an offset into the pool: one system call for hundreds of ids. */
function takeRandom(count: number): number {
  if (poolOffset + count > poolBytes) {
    randomFillSync(pool)
    poolOffset = 0
  }
  const at = poolOffset
  poolOffset += count
  return at
}

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

let lastMs = 0
let counter = 0

/**
 * UUIDv7 (RFC 9562 §5.7, monotonic by method 1): 48 bits of milliseconds, a 12-bit counter
 * that starts at a random value each millisecond, 62 random bits. A counter that overflows borrows
 * the next millisecond.
 */
export function uuidv7(now: number = Date.now()): string {
  const at = takeRandom(10)
  if (now > lastMs) {
    lastMs = now
    counter = ((pool[at + 8] as number) << 3) | ((pool[at + 9] as number) & 0x07)
  } else if (++counter > 0xfff) {
    lastMs += 1
    counter = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  const version = (0x7000 | counter).toString(16)
  const variant = hex[0x80 | ((pool[at] as number) & 0x3f)]
  let tail = ''
  for (let i = 2; i < 8; i++) tail += hex[pool[at + i] as number]
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}${hex[pool[at + 1] as number]}-${tail}`
}

/** Another id for what has the UUID `id`: its last 48 bits inverted, so that no two share one as long as no two share the first. */
export function siblingId(id: string): string {
  const tail = 0xffff_ffff_ffff - Number.parseInt(id.slice(24), 16)
  return id.slice(0, 24) + tail.toString(16).padStart(12, '0')
}

/** UUIDv4, for request ids and nonces. */
export function uuidv4(): string {
  return randomUUID()
}

/** An id of ours or of v1, as it may stand in a path or a claim (control-api §2.4). */
export const idPattern: RegExp = /^[A-Za-z0-9_.\-:]{1,128}$/

export const uuidPattern: RegExp = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
