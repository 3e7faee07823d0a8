/**
 * From the order to withdraw everything of an application to the last byte of its running streams: through
 * the server under load, which carries out the order itself, and through a second gateway beside it, a process
 * of its own.
 */
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { mustCall } from '../../src/cli/demo/http.ts'
import { readScope, resource } from '../../src/cli/demo/operator.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { type Measured, summarize } from './closed-loop.ts'
import { mintOnce } from './operations.ts'
import type { Scene } from './scene.ts'
import type { ServerUnderLoad } from './server.ts'
import { createServerProcess, untilReady } from './server-process.ts'

const streamsPerGateway = 5

/** One time for each stream of the server under load; `workers` is how many run at once. */
export const lastBytesInProcess = (
  server: ServerUnderLoad,
  scene: Scene,
  rounds: number,
): Promise<Measured> => measure(server, scene, [server.urls.gateway], rounds)

/** The same with as many streams again through the second gateway. */
export async function lastBytesOfTwo(
  server: ServerUnderLoad,
  scene: Scene,
  rounds: number,
): Promise<Measured> {
  const [port = 0] = await freePorts(1)
  const second = createServerProcess({
    name: 'second gateway',
    args: ['--role=gateway'],
    urls: [`http://127.0.0.1:${port}`],
    cwd: server.dataDir,
    env: {
      CARACAL_DATA_DIR: server.dataDir,
      STS_URL: server.urls.sts,
      GATEWAY_PORT: String(port),
      LOG_LEVEL: 'warn',
    },
    logFile: join(server.dataDir, 'second-gateway.log'),
  })
  second.start()
  try {
    await untilReady(second)
    return await measure(server, scene, [server.urls.gateway, ...second.urls], rounds)
  } finally {
    await second.end('SIGTERM')
  }
}

async function measure(
  server: ServerUnderLoad,
  scene: Scene,
  gateways: readonly string[],
  rounds: number,
): Promise<Measured> {
  const times: number[] = []
  const errors: Record<string, number> = {}
  const cpuBefore = server.cpuSeconds()
  const started = performance.now()
  for (let n = 0; n < rounds; n += 1) {
    const open = await openStreams(scene, gateways, n).catch((error: unknown) => String(error))
    if (typeof open === 'string') {
      errors[open] = (errors[open] ?? 0) + 1
      continue
    }
    const began = performance.now()
    await mustCall(`${server.urls.control}/v1/zones/${open.zoneId}/subjects/revoke`, {
      method: 'POST',
      bearer: server.adminToken,
      json: { subject_id: open.applicationId },
    })
    for (const endedAt of await Promise.all(open.streams)) times.push(endedAt - began)
  }
  const elapsed = (performance.now() - started) / 1000
  const workers = streamsPerGateway * gateways.length
  return summarize({ workers, times, errors, elapsed, cpu: server.cpuSeconds() - cpuBefore })
}

/** Every stream has sent something; its promise is the moment of its end. */
async function openStreams(scene: Scene, gateways: readonly string[], n: number) {
  const actor = scene.actors[n % scene.actors.length]
  if (actor === undefined) throw new Error('the scene has no actors')
  const { agent, identity } = actor
  // What it had was withdrawn in an earlier round.
  const lifecycle = await agent.bootstrap()
  const source = await agent.startSession(lifecycle)
  const target = await agent.startSession(lifecycle)
  const delegation = await agent.delegate(lifecycle, source, target, [readScope])
  const body = new URLSearchParams(actor.mintBody)
  body.set('agent_session_id', target)
  body.set('delegation_edge_id', delegation)
  const mintBody = body.toString()
  const urls = gateways.flatMap((url) => Array.from({ length: streamsPerGateway }, () => url))
  const streams = await Promise.all(
    urls.map(async (url) => openStream(url, await mintOnce(scene, { ...actor, mintBody }))),
  )
  return { zoneId: identity.zoneId, applicationId: identity.applicationId, streams: streams.map(endOf) }
}

function openStream(url: string, mandate: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${mandate}`, 'x-caracal-resource': resource }
    request(`${url}/items?stream`, { headers, agent: false }, (response) => {
      if (response.statusCode === 200) response.once('data', () => resolve(response))
      else reject(new Error(`stream ${response.statusCode}`))
    })
      .once('error', reject)
      .end()
  })
}

const endOf = (response: IncomingMessage): Promise<number> =>
  new Promise((resolve) => {
    response.on('error', () => undefined)
    response.once('close', () => resolve(performance.now()))
    response.resume()
  })
