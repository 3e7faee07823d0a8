/**
 * `caracal demo`: one governed call end to end on the embedded store, told step by step.
 * Everything it starts lives in a temporary directory and ends with it.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Settings } from '../../config/env.ts'
import { defaultPorts, loadSettings } from '../../config/load.ts'
import { buildVersion } from '../../config/version.ts'
import { createLogger, type ProcessLogger } from '../../platform/observe/logger.ts'
import { roleNames } from '../../platform/role.ts'
import { freePorts } from '../../server/free-ports.ts'
import { assertPortFree } from '../../server/listener.ts'
import { type Server, startServer } from '../../server/start.ts'
import type { Invocation } from '../command.ts'
import type { Output } from '../output.ts'
import { createAgent } from './agent.ts'
import { resource, type Setup, setUp } from './operator.ts'
import { play } from './scenes.ts'
import { createStory, type Story } from './story.ts'
import { startUpstream, type Upstream } from './upstream.ts'

const consolePort = 3001
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Exit code 0 only if every expectation of the story held. */
export async function demo({ arguments: { switches }, env, out }: Invocation): Promise<number> {
  const stopped = new AbortController()
  const stop = () => stopped.abort()
  for (const signal of endings) process.once(signal, stop)
  const complaints: string[] = []
  try {
    await using directory = await temporaryDirectory()
    const settings = await demoSettings(env, directory.path)
    out.line(out.bold('Caracal: one governed call, end to end'))
    const story = createStory(out)
    await using server = await story.scene('Everything starts', () =>
      start(story, settings, quietLogger(complaints), stopped.signal),
    )
    const apiKey = `key_${randomBytes(16).toString('hex')}`
    await using upstream = await startUpstream(apiKey)
    const setup = await prepare(story, server, settings, upstream, apiKey)
    await play({
      story,
      setup,
      upstream,
      apiKey,
      agent: createAgent(urlsOf(server), setup),
      control: { url: urlsOf(server).control, adminToken: settings.CARACAL_ADMIN_TOKEN ?? '' },
      verifyChain: (zoneId) => server.verifyAuditChain(zoneId),
      signal: stopped.signal,
    })
    const code = conclude(story, out, complaints)
    if (switches.has('keep')) await keep(out, server, setup, settings, upstream, stopped.signal)
    return code
  } catch (error) {
    if (stopped.signal.aborted) return 1
    for (const complaint of complaints) out.errorLine(`  ${complaint}`)
    throw error
  } finally {
    for (const signal of endings) process.off(signal, stop)
  }
}

async function start(
  story: Story,
  settings: Settings,
  logger: ProcessLogger,
  signal: AbortSignal,
): Promise<Server> {
  const server = await startServer(settings, { logger, signal })
  story.say('Five roles in this process, on a Postgres of their own below a temporary directory.')
  for (const [name, listener] of Object.entries(server.listeners)) story.fact(name, listener.url)
  return server
}

function prepare(
  story: Story,
  server: Server,
  settings: Settings,
  upstream: Upstream,
  apiKey: string,
): Promise<Setup> {
  return story.scene('The operator protects an API', async () => {
    const operator = { controlUrl: urlsOf(server).control, adminToken: settings.CARACAL_ADMIN_TOKEN ?? '' }
    const setup = await setUp(operator, { url: upstream.url, apiKey }, 'Demo')
    story.fact('upstream', `${upstream.url} (a real HTTP server that wants an API key)`)
    story.fact('zone', setup.zoneId)
    story.fact('application', setup.applicationId)
    story.fact('resource', `${resource}, with the API key sealed in its provider`)
    story.fact('policy', 'active; everything it does not grant is denied')
    return setup
  })
}

function conclude(story: Story, out: Output, complaints: readonly string[]): number {
  out.line('')
  if (story.failures.length === 0) {
    out.status('ok', 'Every expectation held.')
    return 0
  }
  out.status('fail', `${story.failures.length} expectations did not hold:`)
  for (const failure of story.failures) out.errorLine(`    ${failure}`)
  for (const complaint of complaints) out.errorLine(`  ${complaint}`)
  return 1
}

/** Leaves the server up until a signal and prints what an SDK needs. */
async function keep(
  out: Output,
  server: Server,
  setup: Setup,
  settings: Settings,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<void> {
  const urls = urlsOf(server)
  out.line('')
  out.line(out.bold('The server stays up. For an SDK:'))
  out.line(`export CARACAL_ZONE_ID=${setup.zoneId}`)
  out.line(`export CARACAL_APPLICATION_ID=${setup.applicationId}`)
  out.line(`export CARACAL_APP_CLIENT_SECRET=${setup.clientSecret}`)
  out.line(`export CARACAL_APP_RESOURCES=${resource}`)
  out.line(`export CARACAL_STS_URL=${urls.sts}`)
  out.line(`export CARACAL_COORDINATOR_URL=${urls.coordinator}`)
  out.line(`export CARACAL_GATEWAY_URL=${urls.gateway}`)
  out.line('')
  out.line(`console       ${urls.console}`)
  out.line(`control API   ${urls.control}/v1`)
  out.line(`admin token   ${join(settings.CARACAL_DATA_DIR, 'secrets', 'caracalAdminToken')}`)
  out.line(`upstream      ${upstream.url}/items`)
  out.line(out.dim('Ctrl-C ends it and removes everything.'))
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
}

interface Urls {
  readonly control: string
  readonly console: string
  readonly sts: string
  readonly coordinator: string
  readonly gateway: string
}

function urlsOf({ listeners }: Server): Urls {
  const url = (name: keyof Urls) => listeners[name]?.url ?? ''
  return {
    control: url('control'),
    console: url('console'),
    sts: url('sts'),
    coordinator: url('coordinator'),
    gateway: url('gateway'),
  }
}

/** The embedded store in dev mode whatever the caller's environment says, on the usual ports if they are free. */
async function demoSettings(env: Invocation['env'], dataDir: string): Promise<Settings> {
  const listeners = [...roleNames, 'console'] as const
  const usual = listeners.map((name) => (name === 'console' ? consolePort : defaultPorts[name]))
  const ports = (await areFree(usual)) ? usual : await freePorts(listeners.length)
  return loadSettings(
    {
      CARACAL_MODE: 'dev',
      CARACAL_DATA_DIR: dataDir,
      LOG_LEVEL: env.LOG_LEVEL ?? 'warn',
      HOST: '127.0.0.1',
      ...Object.fromEntries(
        listeners.map((name, index) => [`${name.toUpperCase()}_PORT`, String(ports[index])]),
      ),
    },
    { roles: roleNames },
  )
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  const probes = await Promise.allSettled(
    ports.map((port) => assertPortFree({ host: '127.0.0.1', port, name: 'demo', portVariable: '' })),
  )
  return probes.every((probe) => probe.status === 'fulfilled')
}

async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'caracal-demo-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** The story is told on stdout; what the server has to say is kept for the case that it fails. */
function quietLogger(complaints: string[]): ProcessLogger {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      complaints.push(chunk.toString().trim())
      done()
    },
  })
  return createLogger({
    level: 'warn',
    env: 'demo',
    version: buildVersion(),
    maxFieldBytes: 2048,
    sampleDebug: 1,
    destination,
  })
}
