/**
 * The role behind the gateway's `Sts` port: zones with real ES256 keys that mint and
 * verify real mandates, and directives a test chooses. It decides nothing by policy.
 */
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import type { JWK } from 'jose'
import {
  type Claims,
  createSigner,
  parseCompact,
  type Signer,
  verifySignature,
} from '../../../src/platform/jose/compact.ts'
import { publicJwk } from '../../../src/platform/jose/zone-key.ts'
import type { GatewaySts } from '../../../src/roles/gateway/gateway-sts.ts'
import type {
  GatewayExchangeRequest,
  GatewayExchangeResult,
  UpstreamDirective,
} from '../../../src/roles/sts/port.ts'

interface ZoneKey {
  readonly kid: string
  readonly signer: Signer
  readonly publicKey: KeyObject
  readonly jwk: JWK
}

export function makeKey(kid: string = randomUUID()): ZoneKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return { kid, signer: createSigner(kid, privateKey), publicKey, jwk: publicJwk(kid, privateKey) }
}

export interface ZoneSts extends GatewaySts {
  readonly zoneId: string
  readonly issuer: string
  /** Keys of the zone, newest first; replace to rotate. */
  keys: ZoneKey[]
  /** Directive per resource identifier. */
  readonly directives: Map<string, UpstreamDirective>
  /** Answers instead of the exchange when set. */
  answer: ((request: GatewayExchangeRequest, signal: AbortSignal) => Promise<GatewayExchangeResult>) | null
  readonly exchanges: GatewayExchangeRequest[]
  keyFetches: number
  keysFail: boolean
  pingFails: boolean
  /** A fresh `use=gateway` mandate; `claims` overrides, `undefined` members drop. */
  mint(claims?: Record<string, unknown>, key?: ZoneKey): string
}

export function createZoneSts(zoneId = 'zone-1'): ZoneSts {
  const issuer = 'http://sts.test'
  const sts: ZoneSts = {
    zoneId,
    issuer,
    keys: [makeKey()],
    directives: new Map(),
    answer: null,
    exchanges: [],
    keyFetches: 0,
    keysFail: false,
    pingFails: false,
    mint(overrides = {}, key = sts.keys[0] as ZoneKey) {
      const now = Math.floor(Date.now() / 1000)
      const claims: Record<string, unknown> = {
        iss: issuer,
        aud: [issuer],
        sub: 'app-1',
        sub_type: 'application',
        iat: now,
        exp: now + 300,
        jti: randomUUID(),
        zone_id: zoneId,
        client_id: 'app-1',
        scope: 'demo:read demo:write',
        sid: 'record-1',
        root_sid: 'root-1',
        agent_session_id: 'session-1',
        delegation_edge_id: 'edge-1',
        use: 'gateway',
        target: ['resource://demo'],
        ...overrides,
      }
      return key.signer.sign(JSON.parse(JSON.stringify(claims)) as Claims)
    },
    async exchangeForGateway(request, signal) {
      sts.exchanges.push(request)
      if (sts.answer !== null) return sts.answer(request, signal)
      const jws = parseCompact(request.mandate)
      const key = sts.keys.find((one) => one.kid === jws?.header.kid)
      if (jws === null || key === undefined || !verifySignature(jws, key.publicKey)) {
        return { ok: false, status: 401, error: 'invalid_token', description: 'invalid subject_token' }
      }
      const directive = sts.directives.get(request.resource)
      if (directive === undefined) {
        return { ok: false, status: 403, error: 'access_denied', description: 'policy denied' }
      }
      const accessToken = sts.mint({
        use: 'resource',
        aud: [request.resource],
        exp: Number(jws.claims.exp) + 600,
      })
      return {
        ok: true,
        accessToken: () => accessToken,
        expiresIn: 900,
        scope: String(jws.claims.scope),
        targetResources: [request.resource],
        upstreams: { [request.resource]: directive },
      }
    },
    async zoneKeys(zone) {
      sts.keyFetches += 1
      if (sts.keysFail) throw new Error('database away')
      return zone === zoneId ? sts.keys.map((key) => key.jwk) : null
    },
    async ping() {
      if (sts.pingFails) throw new Error('away')
    },
  }
  return sts
}
