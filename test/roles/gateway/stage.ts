/** A gateway on a real socket over a real database, bus and replay memory, in front of real upstreams. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import pino from 'pino'
import { Registry } from 'prom-client'
import type { Settings } from '../../../src/config/env.ts'
import type { Bus, Fields } from '../../../src/platform/bus/port.ts'
import { createPostgresBus } from '../../../src/platform/bus/postgres.ts'
import { signEntry } from '../../../src/platform/bus/signature.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import type { Ephemera } from '../../../src/platform/ephemera/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import type { Job } from '../../../src/platform/jobs/job.ts'
import type { AuditEvent } from '../../../src/roles/audit/event.ts'
import { createAuditSink } from '../../../src/roles/audit/sink.ts'
import { createGateway, type Gateway, type GatewayDeps } from '../../../src/roles/gateway/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { testSettings } from '../../fixtures/settings.ts'
import type { Joined } from '../../fixtures/shared-deployment.ts'
import { createZoneSts, type ZoneSts } from './zone-sts.ts'

export const resource = 'resource://demo'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
}

export interface Upstream extends AsyncDisposable {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly server: Server
  /** Requests that were read whole. */
  readonly seen: Seen[]
  /** Connections ever accepted. */
  readonly connections: () => number
}

/** A real HTTP server; without a listener it answers what it saw as JSON. */
export async function startUpstream(listener?: RequestListener): Promise<Upstream> {
  const seen: Seen[] = []
  let connections = 0
  const echo: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        body: Buffer.concat(chunks),
      }
      seen.push(one)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ ...one, body: one.body.toString('latin1').slice(0, 1000) }))
    })
  }
  const server = createServer(listener ?? echo)
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    port,
    server,
    seen,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** What no HTTP server would send: answers the first bytes of each connection as it likes. */
export async function startRawUpstream(
  answer: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly url: string }> {
  const sockets = new Set<Socket>()
  const server = createNetServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => answer(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface Answer {
  readonly status: number
  /** The text beside the status. */
  readonly reason: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly body: string
  readonly bytes: Buffer
  readonly trailers: NodeJS.Dict<string>
  /** The message ended as announced. */
  readonly complete: boolean
  json(): Record<string, unknown>
}

export interface CallOptions {
  readonly method?: string
  readonly path?: string
  readonly mandate?: string | null
  readonly resource?: string | null
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
  readonly signal?: AbortSignal
}

export interface Stage extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly gateway: Gateway
  readonly sts: ZoneSts
  readonly database: TestDatabase
  readonly bus: Bus
  readonly ephemera: Ephemera
  readonly settings: Settings
  /** Where events wait that the bus did not take. */
  readonly journal: string
  call(options?: CallOptions): Promise<Answer>
  /** The response as it begins, for streams. */
  open(options?: CallOptions): Promise<IncomingMessage>
  /** Points `resource://demo` (or another) at an upstream. */
  route(url: string, directive?: Record<string, unknown>, identifier?: string): void
  /** Publishes a signed entry as a coordinator would. */
  publish(stream: string, fields: Fields): Promise<void>
  /** Audit events of one request, waiting for the first. */
  evidence(requestId: string, type?: string): Promise<AuditEvent[]>
  allEvidence(): Promise<AuditEvent[]>
  metric(name: string): Promise<number>
}

export interface StageOptions {
  readonly settings?: Partial<Settings>
  readonly deps?: Partial<GatewayDeps>
  readonly sts?: ZoneSts
  /** Another role's platform to stand on; its owner closes it. */
  readonly platform?: StandingPlatform
}

export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const settings = testSettings(options.settings)
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const keys = keyRing(settings)
  const platform = options.platform ?? (await openPlatform(log))
  const { database, bus, ephemera } = platform
  const { db } = database
  const directory = mkdtempSync(join(tmpdir(), 'caracal-gateway-'))
  const metrics = new Registry()
  const sts = options.sts ?? createZoneSts()
  const audit = createAuditSink({ bus, keys, directory, log, metrics, metricPrefix: 'caracal_gateway' })
  const gateway = createGateway({
    settings,
    db,
    bus,
    ephemera,
    keys,
    log,
    metrics,
    sts,
    audit,
    host: `host-${randomBytes(4).toString('hex')}`,
    ...options.deps,
  })
  const stopping = new AbortController()
  await gateway.prepare(stopping.signal)
  const jobs = gateway.jobs.map((job) => runJob(job, stopping.signal))

  const operator = getRequestListener(gateway.app.fetch)
  const server = createServer({ maxHeaderSize: gateway.limits.headerBytes }, (request, response) => {
    if (!gateway.intercept(request, response)) void operator(request, response)
  })
  server.headersTimeout = gateway.limits.headersTimeoutMs
  server.requestTimeout = gateway.limits.requestTimeoutMs
  server.keepAliveTimeout = gateway.limits.keepAliveTimeoutMs
  server.timeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`

  const open = openerAt(port, () => sts.mint())

  const allEvidence = (): Promise<AuditEvent[]> => eventsOf(bus, '-')

  return {
    url,
    port,
    gateway,
    sts,
    database,
    bus,
    ephemera,
    settings,
    journal: directory,
    open,
    async call(call) {
      return readAnswer(await open(call))
    },
    route(upstream, directive = {}, identifier = resource) {
      sts.directives.set(identifier, { url: upstream, auth_mode: 'none', ...directive })
    },
    publish: (stream, fields) => publishOn(bus, settings, stream, fields),
    allEvidence,
    evidence: (requestId, type) => evidenceAmong(allEvidence, requestId, type),
    async metric(name) {
      return metricIn(await metrics.metrics(), name)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      stopping.abort()
      await Promise.all(jobs)
      await gateway[Symbol.asyncDispose]()
      await audit[Symbol.asyncDispose]()
      if (options.platform === undefined) await closePlatform(platform)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function openerAt(port: number, mint: () => string): Stage['open'] {
  return (call = {}) =>
    new Promise((resolve, reject) => {
      const mandate = call.mandate === undefined ? mint() : call.mandate
      const named = call.resource === undefined ? resource : call.resource
      const request = httpRequest(
        {
          host: '127.0.0.1',
          port,
          method: call.method ?? 'GET',
          path: call.path ?? '/x',
          agent: false,
          headers: {
            ...(mandate === null ? {} : { authorization: `Bearer ${mandate}` }),
            ...(named === null ? {} : { 'x-caracal-resource': named }),
            ...call.headers,
          },
          ...(call.signal === undefined ? {} : { signal: call.signal }),
        },
        resolve,
      )
      request.on('error', reject)
      request.end(call.body)
    })
}

/** The gateways of a deployment; what only a gateway in this process has is out of reach. */
export function remoteStage(
  { urls, replicas }: Pick<Joined, 'urls' | 'replicas'>,
  platform: StandingPlatform & { readonly settings: Settings; readonly since: string },
): Stage {
  const { database, bus, ephemera, settings, since } = platform
  const url = urls.gateway
  const port = Number(new URL(url).port)
  const open = openerAt(port, () => {
    throw new Error('a mandate of the zone is needed')
  })
  const allEvidence = (): Promise<AuditEvent[]> => eventsOf(bus, since)
  const reachable = {
    url,
    port,
    database,
    bus,
    ephemera,
    settings,
    open,
    call: async (options?: CallOptions) => readAnswer(await open(options)),
    publish: (stream: string, fields: Fields) => publishOn(bus, settings, stream, fields),
    allEvidence,
    evidence: (requestId: string, type?: string) => evidenceAmong(allEvidence, requestId, type),
    /** Of the replica that has the least. */
    async metric(name: string) {
      const headers = { authorization: 'Bearer scrape' }
      const texts = replicas.gateway.map(async (one) => (await fetch(`${one}/metrics`, { headers })).text())
      return Math.min(...(await Promise.all(texts)).map((text) => metricIn(text, name)))
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
  return new Proxy(reachable as unknown as Stage, {
    get(target, name) {
      if (name in target || name === 'then') return Reflect.get(target, name)
      throw new Error(`${String(name)} of a gateway is out of reach here: the test is of a seam`)
    },
  })
}

function metricIn(text: string, name: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`))
  return Number(line?.split(' ').at(-1) ?? Number.NaN)
}

async function eventsOf(bus: Bus, since: string): Promise<AuditEvent[]> {
  const entries = await bus.range('caracal.audit.events', since, 10_000)
  return entries.map((entry) => JSON.parse(entry.fields.data ?? '{}') as AuditEvent)
}

function evidenceAmong(
  all: () => Promise<AuditEvent[]>,
  requestId: string,
  type: string | undefined,
): Promise<AuditEvent[]> {
  return eventually(async () => {
    const events = (await all()).filter(
      (event) => event.request_id === requestId && (type === undefined || event.event_type === type),
    )
    return events.length > 0 ? events : null
  })
}

async function publishOn(bus: Bus, settings: Settings, stream: string, fields: Fields): Promise<void> {
  const entry = { stream, fields: signEntry(keyRing(settings).streams, stream, fields) }
  const [published] = await bus.publish([entry])
  if (published?.ok !== true) throw new Error('not published')
}

export type StandingPlatform = Pick<Stage, 'database' | 'bus' | 'ephemera'>

/** For test files that need many gateways: a new replay memory takes a second until it admits anything. */
export async function openPlatform(log: pino.Logger = pino({ level: 'silent' })): Promise<StandingPlatform> {
  const database = await createTestDatabase()
  const { db } = database
  return { database, bus: createPostgresBus({ db, log }), ephemera: createPostgresEphemera({ db, log }) }
}

export async function closePlatform({ database, bus, ephemera }: StandingPlatform): Promise<void> {
  await ephemera[Symbol.asyncDispose]()
  await bus[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
}

async function runJob(job: Job, signal: AbortSignal): Promise<void> {
  if (job.immediate !== true) await pause(job.intervalMs, signal)
  while (!signal.aborted) {
    await job.run(jobContext({ signal })).catch(() => undefined)
    await pause(job.intervalMs, signal)
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })

export function readAnswer(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', () => undefined)
    response.on('close', () => {
      const bytes = Buffer.concat(chunks)
      resolve({
        status: response.statusCode ?? 0,
        reason: response.statusMessage ?? '',
        headers: response.headers,
        rawHeaders: response.rawHeaders,
        body: bytes.toString('utf8'),
        bytes,
        trailers: response.trailers,
        complete: response.complete,
        json: () => JSON.parse(bytes.toString('utf8')) as Record<string, unknown>,
      })
    })
  })
}
