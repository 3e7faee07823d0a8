/**
 * Every issuance path × every way authority can end (design §3: no cache may keep it
 * alive): the whole product. Each case warms every path until it grants on two replicas,
 * lets one thing die, and asks all of them again. A death names the paths it ends; the
 * others must go on, so that a row that is missing here is seen.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import type { StsRole } from '../../../src/roles/sts/index.ts'
import {
  activatePolicy,
  grantsDocument,
  type SeededApplication,
  type SeededDelegation,
  type SeededZone,
  sealProviderSecrets,
  seedApplication,
  seedAuthorityRecord,
  seedEdge,
  seedResource,
  seedSession,
  seedZone,
} from '../../fixtures/zone.ts'
import { createIdentityIssuer, type IdentityIssuer } from '../../roles/sts/identity-issuer.ts'
import {
  claimsOf,
  createWorld,
  delegatedFields,
  type Fields,
  gatewayExchange,
  postForm,
  type TokenAnswer,
  tokenFields,
  type World,
} from '../../roles/sts/world.ts'

let world: World
let replica: StsRole
let idp: IdentityIssuer
beforeAll(async () => {
  idp = await createIdentityIssuer()
  world = await createWorld({}, idp.server.egress)
  replica = await world.replica()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await idp[Symbol.asyncDispose]()
})

/** One zone of its own per case: a lineage root → middle → leaf whose leaf session runs for a user. */
interface Scene {
  readonly zone: SeededZone
  readonly rootEdgeId: string
  readonly leaf: SeededDelegation
  readonly rootSessionId: string
  readonly userRecordId: string
  /** Another application of the zone. */
  readonly neighbour: SeededApplication
  readonly workload: { readonly id: string; readonly secret: string }
  mandate: string
  sessionMandate: string
  resourceMandate: string
}

async function scene(lifecycle: 'task' | 'service' = 'task'): Promise<Scene> {
  const { db, hasher } = world
  const zone = await seedZone(db, hasher)
  const applicationId = zone.application.id
  await seedResource(db, zone.zoneId, {
    providerId: zone.providerId,
    identifier: 'caracal-control',
    upstreamUrl: null,
    scopes: ['control:zone:read'],
  })
  await db.sql`
    update applications set traits = '{control:invoke,control:scope:control:zone:read}' where id = ${applicationId}`
  await db.sql`
    update providers
    set provider_kind = 'api_key', config_json = '{"header_name":"x","allow_runtime_injection":true}'
    where id = ${zone.providerId}`
  await sealProviderSecrets(db, world.cipher, zone.zoneId, zone.providerId, { api_key: 'k' })
  await idp.trust(db, zone.zoneId)
  const userRecordId = await seedAuthorityRecord(db, zone.zoneId, { type: 'user', subjectId: 'user-1' })
  const rootSessionId = await seedSession(db, zone.zoneId, { applicationId })
  const parentSessionId = await seedSession(db, zone.zoneId, { applicationId })
  const childSessionId = await seedSession(db, zone.zoneId, {
    applicationId,
    recordId: userRecordId,
    lifecycle,
  })
  const rootEdgeId = await seedEdge(db, zone.zoneId, {
    source: rootSessionId,
    target: parentSessionId,
    issuer: applicationId,
    scopes: ['nucleus:pay'],
    constraints: { max_hops: 2 },
  })
  const edgeId = await seedEdge(db, zone.zoneId, {
    source: parentSessionId,
    target: childSessionId,
    issuer: applicationId,
    scopes: ['nucleus:pay'],
    constraints: { max_hops: 1 },
    parentEdgeId: rootEdgeId,
  })
  const workload = { id: uuidv7(), secret: `ws_${crypto.randomUUID()}` }
  await db.sql`
    insert into workloads (id, zone_id, name, secret_hash, bindings)
    values (${workload.id}, ${zone.zoneId}, 'w', ${hasher.hashGenerated(workload.secret)},
            '[{"env":"A","resource":"resource://nucleus","scopes":["nucleus:pay"]}]')`
  return {
    zone,
    rootEdgeId,
    rootSessionId,
    userRecordId,
    neighbour: await seedApplication(db, hasher, zone.zoneId),
    leaf: { parentSessionId, childSessionId, edgeId },
    workload,
    mandate: '',
    sessionMandate: '',
    resourceMandate: '',
  }
}

const post = (sts: StsRole, s: Scene, fields: Fields): Promise<TokenAnswer> =>
  postForm(sts, '/oauth/2/token', tokenFields({ zone: s.zone }, fields))

type Path = (sts: StsRole, s: Scene) => Promise<{ readonly status: number; readonly body?: unknown }>

/** What RFC 7662 says of a token, as a status: 200 while it is active, 401 when it is not. */
async function introspected(
  sts: StsRole,
  s: Scene,
  mandate: string,
  asker: SeededApplication = s.zone.application,
): Promise<{ readonly status: number }> {
  const answer = await postForm(sts, '/oauth/2/introspect', {
    zone_id: s.zone.zoneId,
    application_id: asker.id,
    client_secret: asker.secret,
    token: mandate,
  })
  return answer.status === 200 ? { status: answer.body.active === true ? 200 : 401 } : answer
}

const run = (sts: StsRole, s: Scene, route: string): Promise<TokenAnswer> =>
  postForm(sts, `/v1/run/${route}`, { workload_id: s.workload.id, secret: s.workload.secret, env: 'A' })

const paths: Readonly<Record<string, Path>> = {
  bootstrap: (sts, s) => post(sts, s, { scope: 'agent:lifecycle' }),
  mint: (sts, s) => post(sts, s, delegatedFields(s.leaf)),
  'gateway exchange': (sts, s) => gatewayExchange({ ...world, sts, zone: s.zone }, s.mandate),
  'gateway exchange in process': async (sts, s) => {
    const result = await sts.exchangeForGateway(
      {
        requestId: 'r',
        zoneId: s.zone.zoneId,
        applicationId: s.zone.application.id,
        mandate: s.mandate,
        verifiedClaims: claimsOf(s.mandate),
        resource: s.zone.resource.identifier,
        method: 'POST',
        path: '/pay',
      },
      new AbortController().signal,
    )
    return { status: result.ok ? 200 : result.status }
  },
  control: (sts, s) =>
    post(sts, s, { zone_id: undefined, resource: 'caracal-control', scope: 'control:zone:read' }),
  'introspection of the session mandate': (sts, s) => introspected(sts, s, s.sessionMandate),
  'introspection of the gateway mandate': (sts, s) => introspected(sts, s, s.mandate),
  'introspection of the resource mandate': (sts, s) => introspected(sts, s, s.resourceMandate),
  'introspection by another application': (sts, s) => introspected(sts, s, s.sessionMandate, s.neighbour),
  'run manifest': (sts, s) => run(sts, s, 'manifest'),
  'run credential': (sts, s) => run(sts, s, 'credential'),
  federation: async (sts, s) =>
    post(sts, s, {
      resource: undefined,
      subject_token: await idp.idToken(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    }),
}

const gateway = ['gateway exchange', 'gateway exchange in process']
const governed = ['mint', ...gateway]
const runs = ['run manifest', 'run credential']
/** What rests on the delegation of the leaf session. */
const delegated = [
  ...governed,
  'introspection of the gateway mandate',
  'introspection of the resource mandate',
]
const introspections = [...delegated.slice(governed.length), 'introspection of the session mandate']
const everyPath = Object.keys(paths)
/** A workload has a credential of its own. */
const everyApplicationPath = everyPath.filter((name) => !runs.includes(name))

interface Death {
  readonly paths: readonly string[]
  readonly lifecycle?: 'service'
  kill(s: Scene): PromiseLike<unknown>
}

const sql = () => world.db.sql

const deaths: Readonly<Record<string, Death>> = {
  'the zone is archived': {
    paths: everyPath,
    kill: (s) => sql()`update zones set archived_at = now() where id = ${s.zone.zoneId}`,
  },
  'the application is archived': {
    paths: everyApplicationPath,
    kill: (s) => sql()`update applications set archived_at = now() where id = ${s.zone.application.id}`,
  },
  'the application has expired': {
    paths: everyApplicationPath,
    kill: (s) => sql()`update applications set expires_at = now() where id = ${s.zone.application.id}`,
  },
  'the secret was rotated': {
    paths: ['bootstrap', 'mint', 'control', 'federation', ...introspections],
    kill: (s) => sql()`
      update applications set client_secret_hash = ${world.hasher.hashGenerated('other')}
      where id = ${s.zone.application.id}`,
  },
  'the application lost its hash': {
    paths: ['bootstrap', 'mint', 'control', 'federation', ...introspections],
    kill: (s) => sql()`
      update applications set client_secret_hash = null where id = ${s.zone.application.id}`,
  },
  'the resource is archived': {
    paths: ['bootstrap', ...governed, 'run credential'],
    kill: (s) => sql()`update resources set archived_at = now() where id = ${s.zone.resource.id}`,
  },
  'the resource lost its upstream': {
    paths: ['bootstrap'],
    kill: (s) => sql()`update resources set upstream_url = null where id = ${s.zone.resource.id}`,
  },
  'the resource lost the scope': {
    paths: ['mint', 'run credential'],
    kill: (s) => sql()`update resources set scopes = '{}' where id = ${s.zone.resource.id}`,
  },
  'the operation is not declared any more': {
    paths: gateway,
    kill: (s) => sql()`update resources set operations = '[]' where id = ${s.zone.resource.id}`,
  },
  'the provider is archived': {
    paths: [...gateway, 'run credential'],
    kill: (s) => sql()`update providers set archived_at = now() where id = ${s.zone.providerId}`,
  },
  'the policy set is deactivated': {
    paths: ['bootstrap', ...governed, 'run credential'],
    kill: (s) => sql()`
      update policy_set_bindings set active_version_id = null where zone_id = ${s.zone.zoneId}`,
  },
  'the policy grants nothing any more': {
    paths: ['bootstrap', ...governed],
    kill: (s) => activatePolicy(world.db, s.zone.zoneId, [grantsDocument({ grants: {} })]),
  },
  'the zone is frozen': {
    paths: ['bootstrap', ...governed, 'run credential'],
    kill: (s) =>
      activatePolicy(world.db, s.zone.zoneId, [
        grantsDocument({
          app_ids: { a: s.zone.application.id },
          grants: {
            'resource://nucleus': { application: 'a', roles: { [s.zone.application.id]: ['nucleus:pay'] } },
          },
          restrict: ['x'],
        }),
      ]),
  },
  'the control key expires': {
    paths: ['control'],
    kill: (s) => sql()`
      update applications
      set traits = '{control:invoke,control:scope:control:zone:read,control:expires:2020-01-01T00:00:00Z}'
      where id = ${s.zone.application.id}`,
  },
  'the control key lost its trait': {
    paths: ['control'],
    kill: (s) => sql()`
      update applications set traits = '{control:scope:control:zone:read}' where id = ${s.zone.application.id}`,
  },
  'the issuer is not trusted any more': {
    paths: ['federation'],
    kill: (s) => sql()`update subject_issuers set archived_at = now() where zone_id = ${s.zone.zoneId}`,
  },
  'the leaf edge is revoked': { paths: delegated, kill: (s) => revokeEdge(s.leaf.edgeId) },
  'the root edge is revoked': { paths: delegated, kill: (s) => revokeEdge(s.rootEdgeId) },
  'the leaf edge has expired': {
    paths: delegated,
    kill: (s) => sql()`update delegation_edges set expires_at = now() where id = ${s.leaf.edgeId}`,
  },
  'the root edge has expired': {
    paths: delegated,
    kill: (s) => sql()`update delegation_edges set expires_at = now() where id = ${s.rootEdgeId}`,
  },
  'the edge is swept as expired': {
    paths: delegated,
    kill: (s) => sql()`update delegation_edges set status = 'expired' where id = ${s.leaf.edgeId}`,
  },
  'the edge lost its scope': {
    paths: ['mint'],
    kill: (s) => sql()`update delegation_edges set scopes = '{}' where id = ${s.leaf.edgeId}`,
  },
  'the edge names another resource': {
    paths: governed,
    kill: async (s) => {
      const other = await seedResource(world.db, s.zone.zoneId, { providerId: s.zone.providerId })
      await sql()`update delegation_edges set resource_id = ${other.id} where id = ${s.leaf.edgeId}`
    },
  },
  'the root edge allows no hop any more': {
    paths: delegated,
    kill: (s) => sql()`
      update delegation_edges set constraints_json = '{"max_hops":1,"ttl_seconds":5}' where id = ${s.rootEdgeId}`,
  },
  'the root edge is swept as expired': {
    paths: delegated,
    kill: (s) => sql()`update delegation_edges set status = 'expired' where id = ${s.rootEdgeId}`,
  },
  'the source session is terminated': {
    paths: delegated,
    kill: (s) => terminate(s.leaf.parentSessionId),
  },
  'the source session ran out': { paths: delegated, kill: (s) => outlive(s.leaf.parentSessionId) },
  'the root session ran out': { paths: delegated, kill: (s) => outlive(s.rootSessionId) },
  'the record of the source session is revoked': {
    paths: delegated,
    kill: (s) => sql()`
      update authority_records set status = 'revoked', revoked_at = now()
      where id = (select session_sid from agent_sessions where id = ${s.leaf.parentSessionId})`,
  },
  'the application revokes the gateway mandate': {
    paths: [...gateway, ...delegated.slice(governed.length)],
    kill: (s) => revokeToken(s, s.mandate),
  },
  'the application revokes the session mandate': {
    paths: ['introspection of the session mandate', 'introspection by another application'],
    kill: (s) => revokeToken(s, s.sessionMandate),
  },
  'the application revokes the resource mandate': {
    paths: ['introspection of the resource mandate'],
    kill: (s) => revokeToken(s, s.resourceMandate),
  },
  'the workload is deleted': {
    paths: runs,
    kill: (s) => sql()`delete from workloads where id = ${s.workload.id}`,
  },
  'the secret of the workload was rotated': {
    paths: runs,
    kill: (s) => sql()`
      update workloads set secret_hash = ${world.hasher.hashGenerated('other')} where id = ${s.workload.id}`,
  },
  'the workload lost its bindings': {
    paths: runs,
    kill: (s) => sql()`update workloads set bindings = '[]' where id = ${s.workload.id}`,
  },
  'the target session is suspended': { paths: delegated, kill: (s) => suspend(s.leaf.childSessionId) },
  'the source session is suspended': { paths: delegated, kill: (s) => suspend(s.leaf.parentSessionId) },
  'the root session is suspended': { paths: delegated, kill: (s) => suspend(s.rootSessionId) },
  'the target session is terminated': { paths: delegated, kill: (s) => terminate(s.leaf.childSessionId) },
  'the root session is terminated': { paths: delegated, kill: (s) => terminate(s.rootSessionId) },
  'the target session ran out': {
    paths: delegated,
    kill: (s) => sql()`
      update agent_sessions set spawned_at = now() - interval '2 hours' where id = ${s.leaf.childSessionId}`,
  },
  'the service lease ran out': {
    paths: delegated,
    lifecycle: 'service',
    kill: (s) => sql()`
      update agent_sessions set heartbeat_deadline_at = now() where id = ${s.leaf.childSessionId}`,
  },
  'the user record is revoked': { paths: delegated, kill: (s) => revokeRecord(s.userRecordId) },
  'the user record has expired': {
    paths: delegated,
    kill: (s) => sql()`update authority_records set expires_at = now() where id = ${s.userRecordId}`,
  },
  'the record of the root session is revoked': {
    paths: delegated,
    kill: (s) => sql()`
      update authority_records set status = 'revoked', revoked_at = now()
      where id = (select session_sid from agent_sessions where id = ${s.rootSessionId})`,
  },
  'the record of the mandate is revoked': {
    paths: [...gateway, 'introspection of the gateway mandate'],
    kill: (s) => revokeRecord(claimsOf(s.mandate).sid as string),
  },
  'the record of the mandate has expired': {
    paths: [...gateway, 'introspection of the gateway mandate'],
    kill: (s) => sql()`
      update authority_records set expires_at = now() where id = ${claimsOf(s.mandate).sid as string}`,
  },
  'the record of the mandate was swept': {
    paths: [...gateway, 'introspection of the gateway mandate'],
    kill: (s) => sql()`
      update authority_records set status = 'expired' where id = ${claimsOf(s.mandate).sid as string}`,
  },
}

const revokeEdge = (id: string) => sql()`
  update delegation_edges set status = 'revoked', revoked_at = now() where id = ${id}`
const revokeRecord = (id: string) => sql()`
  update authority_records set status = 'revoked', revoked_at = now() where id = ${id}`
const suspend = (id: string) => sql()`
  update agent_sessions set status = 'suspended', suspended_at = now() where id = ${id}`
const outlive = (id: string) => sql()`
  update agent_sessions set spawned_at = now() - interval '2 hours' where id = ${id}`
const revokeToken = async (s: Scene, token: string): Promise<void> => {
  const answer = await postForm(world.sts, '/oauth/2/revoke', {
    zone_id: s.zone.zoneId,
    application_id: s.zone.application.id,
    client_secret: s.zone.application.secret,
    token,
  })
  expect(answer.status).toBe(200)
}
const terminate = (id: string) => sql()`
  update agent_sessions set status = 'terminated', terminated_at = now() where id = ${id}`

async function prepared(death: Death): Promise<Scene> {
  const s = await scene(death.lifecycle)
  s.mandate = (await post(world.sts, s, delegatedFields(s.leaf))).body.access_token
  s.sessionMandate = (await post(world.sts, s, { scope: 'agent:lifecycle' })).body.access_token
  const exchanged = await gatewayExchange({ ...world, zone: s.zone }, s.mandate)
  s.resourceMandate = exchanged.body.access_token
  return s
}

/** The paths that do not grant any more, on a replica. A failure of the service is not a refusal. */
async function refusals(sts: StsRole, s: Scene): Promise<string[]> {
  const refused: string[] = []
  for (const [name, path] of Object.entries(paths)) {
    const { status } = await path(sts, s)
    expect(status, name).toBeLessThan(500)
    if (status !== 200) refused.push(name)
  }
  return refused
}

test.each(Object.entries(deaths))('%s', async (_, death) => {
  const s = await prepared(death)
  for (const sts of [world.sts, replica]) expect(await refusals(sts, s)).toEqual([])
  await death.kill(s)
  for (const sts of [world.sts, replica])
    expect(new Set(await refusals(sts, s))).toEqual(new Set(death.paths))
})
