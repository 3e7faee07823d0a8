/** The built command line as a process. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach } from 'vitest'
import { eventually } from '../fixtures/eventually.ts'

const bin = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export type Line = Readonly<Record<string, unknown>> & { readonly msg?: string; readonly level?: string }

export interface Running {
  readonly child: ChildProcess
  readonly finished: Promise<Finished>
  /** JSON lines of stdout so far. */
  lines(): Line[]
  /** The first line with this text, waited for. */
  line(msg: string, timeoutMs?: number): Promise<Line>
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

const directories: string[] = []
const running: Running[] = []

/** A directory that any account can reach, removed after the file. */
export function workingDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'caracal-cli-'))
  chmodSync(directory, 0o711)
  directories.push(directory)
  return directory
}

/** Starts `caracal <args>` with nothing of our environment but the path. */
export function startCaracal(args: readonly string[], options: ProcessOptions = {}): Running {
  const cwd = options.cwd ?? workingDirectory()
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  const lines = (): Line[] =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as Line]
        } catch {
          return []
        }
      })
  const one: Running = {
    child,
    finished,
    lines,
    line: (msg, timeoutMs = 45_000) =>
      eventually(
        () => {
          const found = lines().find((line) => line.msg === msg)
          if (found !== undefined) return found
          if (child.exitCode !== null)
            throw new Error(`ended with ${child.exitCode} before "${msg}": ${stdout}${stderr}`)
          return null
        },
        { timeoutMs },
      ),
  }
  running.push(one)
  return one
}

/** Runs `caracal <args>` to its end. */
export function runCaracal(args: readonly string[], options: ProcessOptions = {}): Promise<Finished> {
  return startCaracal(args, options).finished
}

/** Pids of Postgres servers whose cluster is below `directory`. */
export function postmastersBelow(directory: string): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
  return table
    .split('\n')
    .filter((line) => line.includes(' -D ') && line.includes(directory))
    .map((line) => Number(line.trim().split(/\s+/)[0]))
}

afterEach(async () => {
  for (const { child, finished } of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await finished
    clearTimeout(late)
  }
})

afterAll(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})
