/** A zone's issuer in the test: keys, tokens, and the JWKS endpoint over HTTP. */
import { createServer } from 'node:http'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { close, listen } from '../acceptance/clients/stage.ts'

export interface Issuer extends AsyncDisposable {
  readonly url: string
  readonly zoneId: string
  /** Requests for keys so far. */
  readonly asked: string[]
  token(
    claims?: JWTPayload,
    options?: { readonly expiresIn?: number; readonly omit?: string },
  ): Promise<string>
  /** From now on another key signs; both are published unless `hide`. */
  rotate(): Promise<void>
  padding: number
  fail: boolean
}

export async function openIssuer(zoneId = 'zone-1'): Promise<Issuer> {
  const asked: string[] = []
  const keys: { kid: string; privateKey: CryptoKey; jwk: object }[] = []
  const add = async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const kid = `key-${keys.length}`
    keys.unshift({ kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } })
  }
  await add()
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (issuer.fail) return response.writeHead(500).end()
    const document = { keys: keys.map(({ jwk }) => jwk), padding: 'x'.repeat(issuer.padding) }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document))
  })
  const url = (await listen(server)).replace('127.0.0.1', 'localhost')
  const issuer: Issuer = {
    url,
    zoneId,
    asked,
    padding: 0,
    fail: false,
    rotate: add,
    async token(claims = {}, { expiresIn = 300, omit } = {}) {
      const now = Math.floor(Date.now() / 1000)
      const all: JWTPayload = {
        iss: url,
        aud: ['resource://x'],
        sub: 'app-1',
        client_id: 'app-1',
        sub_type: 'application',
        use: 'resource',
        zone_id: zoneId,
        scope: 'x:read',
        sid: 'sid-1',
        root_sid: 'root-1',
        jti: 'jti-1',
        target: ['resource://x'],
        agent_session_id: 'session-1',
        delegation_edge_id: 'edge-1',
        delegation_chain: [
          { application_id: 'app-0', agent_session_id: 'session-0' },
          { application_id: 'app-1' },
        ],
        delegation_graph_epoch: 3,
        hop_count: 1,
        iat: now,
        exp: now + expiresIn,
        ...claims,
      }
      if (omit !== undefined) delete all[omit]
      for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name]
      const [key] = keys
      if (key === undefined) throw new Error('no key')
      return new SignJWT(all)
        .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'JWT' })
        .sign(key.privateKey)
    },
    [Symbol.asyncDispose]: () => close(server),
  }
  return issuer
}
