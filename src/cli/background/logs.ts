/** `caracal logs`: the log of the background server. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'
import { backgroundFiles, lastLines } from './process.ts'

const lookEveryMs = 200

export async function logs({ arguments: { values, switches }, env, out }: Invocation): Promise<number> {
  const count = values.lines === undefined ? 100 : Number(values.lines)
  if (!Number.isInteger(count) || count < 0) throw new UsageError('--lines takes a number')
  const files = backgroundFiles(env)
  let offset = sizeOf(files.log)
  if (offset === null) {
    out.status('fail', 'there is no log: caracal up starts a server')
    return 1
  }
  const wanted = (line: string) => values.role === undefined || roleOf(line) === values.role
  const all =
    values.role === undefined
      ? lastLines(files, count)
      : lastLines(files, Number.MAX_SAFE_INTEGER).filter(wanted)
  for (const line of count === 0 ? [] : all.slice(-count)) out.line(line)
  if (!switches.has('f')) return 0

  const stopped = new AbortController()
  const stop = () => stopped.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  let rest = ''
  while (!stopped.signal.aborted) {
    const { text, end } = readFrom(files.log, offset)
    offset = end
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.filter(wanted)) out.line(line)
    await sleep(lookEveryMs, undefined, { signal: stopped.signal }).catch(() => undefined)
  }
  process.off('SIGINT', stop).off('SIGTERM', stop)
  return 0
}

/** What was written since; from the beginning again when the file was cut. */
function readFrom(path: string, offset: number): { readonly text: string; readonly end: number } {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return { text: '', end: 0 }
  }
  try {
    const { size } = fstatSync(file)
    const from = size < offset ? 0 : offset
    const bytes = Buffer.alloc(Math.min(size - from, 1024 * 1024))
    const read = readSync(file, bytes, 0, bytes.length, from)
    return { text: bytes.toString('utf8', 0, read), end: from + read }
  } finally {
    closeSync(file)
  }
}

function sizeOf(path: string): number | null {
  try {
    return statSync(path).size
  } catch {
    return null
  }
}

function roleOf(line: string): unknown {
  try {
    return (JSON.parse(line) as { service?: unknown }).service
  } catch {
    return undefined
  }
}
