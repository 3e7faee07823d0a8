/** Bodies far larger than memory allows to keep, with upstream and caller in processes of their own (gateway §15). */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStage, resource, type Stage } from './stage.ts'

const megabyte = 1024 * 1024

const upstreamScript = `
import { createServer } from 'node:http'
const chunk = Buffer.alloc(64 * 1024, 7)
const server = createServer((request, response) => {
  let received = 0
  request.on('data', (data) => { received += data.length })
  request.on('end', () => {
    const total = Number(request.headers['x-send'] ?? 0)
    if (total === 0) return response.end(String(received))
    if (request.headers['x-length']) response.setHeader('content-length', total)
    let left = total
    const pump = () => {
      while (left > 0) {
        const size = Math.min(left, chunk.length)
        left -= size
        if (!response.write(chunk.subarray(0, size))) return response.once('drain', pump)
      }
      response.end()
    }
    pump()
  })
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
`

const callerScript = `
import { request } from 'node:http'
const { port, headers, upload, slow } = JSON.parse(process.argv[1])
const call = request({ port, method: upload ? 'POST' : 'GET', path: '/big', headers }, (response) => {
  let received = 0
  let text = ''
  response.on('data', (data) => {
    received += data.length
    if (received < 100) text += data
    if (slow) { response.pause(); setTimeout(() => response.resume(), 1) }
  })
  response.on('end', () => console.log(JSON.stringify({ status: response.statusCode, received, text })))
})
const chunk = Buffer.alloc(64 * 1024, 9)
let left = upload
const pump = () => {
  while (left > 0) {
    const size = Math.min(left, chunk.length)
    left -= size
    if (!call.write(chunk.subarray(0, size))) return call.once('drain', pump)
  }
  call.end()
}
pump()
`

let stage: Stage
let upstream: ChildProcess
const children: ChildProcess[] = []

function run(script: string, argument = ''): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, argument], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  return child
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) return line
  throw new Error('ended without a line')
}

beforeAll(async () => {
  stage = await openStage({ settings: { MAX_REQUEST_BYTES: 200 * megabyte } })
  upstream = run(upstreamScript)
  stage.route(`http://127.0.0.1:${await firstLine(upstream)}`)
})
afterAll(async () => {
  for (const child of children) child.kill()
  await stage[Symbol.asyncDispose]()
})

interface Seen {
  readonly status: number
  readonly received: number
  readonly text: string
  /** Bytes by which this process grew at its largest. */
  readonly growth: number
}

async function transfer(options: {
  readonly upload?: number
  readonly download?: number
  readonly chunked?: boolean
  readonly slow?: boolean
}): Promise<Seen> {
  const { upload = 0, download = 0 } = options
  const headers = {
    authorization: `Bearer ${stage.sts.mint()}`,
    'x-caracal-resource': resource,
    ...(download > 0 ? { 'x-send': String(download) } : {}),
    ...(options.chunked === true ? {} : { 'x-length': '1' }),
    ...(upload > 0 && options.chunked !== true ? { 'content-length': String(upload) } : {}),
  }
  const before = process.memoryUsage.rss()
  let peak = before
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 10)
  const child = run(callerScript, JSON.stringify({ port: stage.port, headers, upload, slow: options.slow }))
  const line = await firstLine(child)
  clearInterval(sampler)
  return { ...(JSON.parse(line) as Omit<Seen, 'growth'>), growth: peak - before }
}

it('1 GB down, of known and of unknown length, in constant memory', async () => {
  // The first megabytes pay for code and pools, not for the body.
  await transfer({ download: 8 * megabyte })
  for (const chunked of [false, true]) {
    const seen = await transfer({ download: 1024 * megabyte, chunked })
    expect([seen.status, seen.received]).toEqual([200, 1024 * megabyte])
    expect(seen.growth).toBeLessThan(64 * megabyte)
  }
}, 120_000)

it('100 MB up, of known and of unknown length, in constant memory', async () => {
  await transfer({ upload: 8 * megabyte })
  for (const chunked of [false, true]) {
    const seen = await transfer({ upload: 100 * megabyte, chunked })
    expect([seen.status, seen.text]).toEqual([200, String(100 * megabyte)])
    expect(seen.growth).toBeLessThan(64 * megabyte)
  }
}, 120_000)

it('a slow reader holds the upstream back instead of filling memory', async () => {
  const seen = await transfer({ download: 60 * megabyte, chunked: true, slow: true })
  expect([seen.status, seen.received]).toEqual([200, 60 * megabyte])
  expect(seen.growth).toBeLessThan(64 * megabyte)
}, 120_000)
