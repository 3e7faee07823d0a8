/**
 * The setup of gateway's acceptance checks: zone Z, application A, echo upstream U,
 * two sessions and a delegation, a real STS and a real gateway in front of U. The
 * exchange runs in process or over the signed HTTP envelope.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Settings } from '../../../src/config/env.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { type GatewayDeps, stsOverHttp } from '../../../src/roles/gateway/index.ts'
import {
  activatePolicy,
  grantsDocument,
  type SeededDelegation,
  type SeededZone,
  seedDelegation,
  seedZone,
} from '../../fixtures/zone.ts'
import {
  type Answer,
  type CallOptions,
  openStage,
  remoteStage,
  type Stage,
  startUpstream,
  type Upstream,
} from '../../roles/gateway/stage.ts'
import { createWorld, token, type World } from '../../roles/sts/world.ts'

export const demo = 'resource://nucleus'
const scopes = ['demo:read', 'demo:write']

export type Transport = 'inproc' | 'http'

export interface Scene extends AsyncDisposable {
  readonly world: World
  readonly stage: Stage
  readonly zone: SeededZone
  readonly upstream: Upstream
  readonly delegation: SeededDelegation
  /** A fresh `use=gateway` mandate M. */
  mint(options?: { readonly scope?: string; readonly delegation?: SeededDelegation }): Promise<string>
  delegate(): Promise<SeededDelegation>
  /** `GET /x` with a fresh M unless stated. */
  call(options?: CallOptions): Promise<Answer>
  /** What the application's role may do, from now on. */
  grant(granted: readonly string[]): Promise<void>
  /** Where the demo resource goes, from now on; the operations make it `enforced`. */
  route(
    url: string,
    operations?: readonly { readonly method: string; readonly path: string; readonly scope: string }[],
  ): Promise<void>
}

export async function openScene(
  transport: Transport = 'inproc',
  settings: Partial<Settings> = {},
  deps: Partial<GatewayDeps> = {},
): Promise<Scene> {
  const world = await createWorld(settings)
  const upstream = await startUpstream()
  const zone = await seedZone(world.db, world.hasher, {
    upstreamUrl: upstream.url,
    scopes,
    operations: [],
    operationEnforcement: 'transport_uniform',
  })
  if (world.deployed !== null && Object.keys(deps).length > 0) {
    throw new Error('a part of the gateway is replaced: the test is of a seam')
  }
  const remote = transport === 'http' && world.deployed === null ? await serveSts(world) : null
  const stage =
    world.deployed === null
      ? await openStage({
          settings: { ...settings },
          platform: world,
          deps: { sts: remote?.sts ?? world.sts, ...deps },
        })
      : remoteStage(world.deployed, world)
  const delegate = (): Promise<SeededDelegation> => seedDelegation(world.db, zone, { scopes })
  const delegation = await delegate()

  const mint: Scene['mint'] = async (options = {}) => {
    const over = options.delegation ?? delegation
    const answer = await token(
      { sts: world.sts, zone },
      {
        scope: options.scope ?? scopes.join(' '),
        agent_session_id: over.childSessionId,
        delegation_edge_id: over.edgeId,
      },
    )
    if (answer.status !== 200) throw new Error(`mint refused: ${JSON.stringify(answer.body)}`)
    return String(answer.body.access_token)
  }

  return {
    world,
    stage,
    zone,
    upstream,
    delegation,
    mint,
    delegate,
    async call(options = {}) {
      const mandate = options.mandate === undefined ? await mint() : options.mandate
      return stage.call({ resource: demo, ...options, mandate })
    },
    async grant(granted) {
      const { id } = zone.application
      await activatePolicy(world.db, zone.zoneId, [
        grantsDocument({
          app_ids: { [id]: id },
          grants: { [demo]: { application: id, roles: { [id]: granted } } },
        }),
      ])
    },
    async route(url, operations) {
      await world.db.sql`
        update resources
        set upstream_url = ${url},
            operations = ${JSON.stringify(operations ?? [])}::text::jsonb,
            operation_enforcement = ${operations === undefined ? 'transport_uniform' : 'enforced'},
            updated_at = now()
        where id = ${zone.resource.id}`
    },
    async [Symbol.asyncDispose]() {
      await stage[Symbol.asyncDispose]()
      await remote?.close()
      await upstream[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    },
  }
}

/** The STS behind a socket, as a split deployment runs it. */
async function serveSts(world: World) {
  const listener = getRequestListener(world.sts.app.fetch)
  const server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sts = stsOverHttp({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: keyRing(world.settings).gatewaySts,
    timeoutMs: world.settings.STS_TIMEOUT,
  })
  return {
    sts,
    async close() {
      await sts[Symbol.asyncDispose]()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
