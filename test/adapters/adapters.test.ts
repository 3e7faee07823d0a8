/** sdk-cli-console §16, checks 36 and 40: the adapters in front of real frameworks. */
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/server'
import express from 'express'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { caracalAuth as expressAuth } from '../../src/adapters/express.ts'
import { type CaracalEnv, caracalAuth as honoAuth } from '../../src/adapters/hono.ts'
import {
  caracalTokenVerifier,
  McpAuthError,
  protectedResourceMetadata,
  requireToolScopes,
  verifyFastMcpToken,
} from '../../src/adapters/mcp.ts'
import { currentContext } from '../../src/sdk/advanced.ts'
import {
  createMandateVerifier,
  InMemoryRevocationStore,
  type MandateVerifier,
} from '../../src/verify/index.ts'
import { close, listen } from '../acceptance/clients/stage.ts'
import { type Issuer, openIssuer } from '../verify/tokens.ts'

let issuer: Issuer
let verifier: MandateVerifier
beforeAll(async () => {
  issuer = await openIssuer()
  verifier = createMandateVerifier({
    issuer: issuer.url,
    audience: 'resource://x',
    zoneId: issuer.zoneId,
    revocations: new InMemoryRevocationStore(),
  })
})
afterAll(async () => issuer?.[Symbol.asyncDispose]())

const missing = { error: 'missing_token', error_description: 'Missing bearer token' }

describe('36: Express', () => {
  it('refuses, or runs handlers with claims and context', async () => {
    const app = express()
    app.use(expressAuth({ verifier }, { requiredScopes: ['x:read'] }))
    app.get('/', async (request, response) => {
      await new Promise((resolve) => setImmediate(resolve))
      response.json({
        sub: request.caracal?.sub,
        same: request.caracal === request.caracalClaims,
        session: currentContext()?.sessionId,
        given: request.caracalContext?.sessionId,
        baggage: currentContext()?.baggage,
      })
    })
    const server = createServer(app)
    const url = await listen(server)
    const none = await fetch(url)
    expect(none.status).toBe(401)
    expect(none.headers.get('www-authenticate')).toBe('Bearer error="missing_token"')
    expect(await none.json()).toEqual(missing)
    const authorization = `Bearer ${await issuer.token()}`
    const good = await fetch(url, {
      headers: { authorization, baggage: 'tenant=blue,caracal.agent_session=forged' },
    })
    expect(await good.json()).toEqual({
      sub: 'app-1',
      same: true,
      session: 'session-1',
      given: 'session-1',
      baggage: { tenant: 'blue' },
    })
    const weak = await fetch(url, {
      headers: { authorization: `Bearer ${await issuer.token({ scope: 'y' })}` },
    })
    expect(weak.status).toBe(403)
    await close(server)
  })
})

describe('36: Hono', () => {
  const app = new Hono<CaracalEnv>()
  app.use('/bound', (c, next) => honoAuth({ verifier })(c, next))
  app.use('/loose', (c, next) => honoAuth({ verifier, bindContext: false })(c, next))
  app.get('/:where', async (c) => {
    await new Promise((resolve) => setImmediate(resolve))
    return c.json({
      sub: c.get('caracal').sub,
      session: currentContext()?.sessionId ?? null,
      given: c.get('caracalContext').sessionId,
    })
  })

  it('refuses, or runs handlers with claims and context', async () => {
    const none = await app.request('/bound')
    expect(none.status).toBe(401)
    expect(await none.json()).toEqual(missing)
    const headers = { authorization: `Bearer ${await issuer.token()}` }
    expect(await (await app.request('/bound', { headers })).json()).toEqual({
      sub: 'app-1',
      session: 'session-1',
      given: 'session-1',
    })
    expect(await (await app.request('/loose', { headers })).json()).toMatchObject({ session: null })
  })

  it('gives handlers their types, and is middleware for another release too', async () => {
    const inline = new Hono().get('/', honoAuth({ verifier }), (c) => c.json({ sub: c.get('caracal').sub }))
    const headers = new Headers({ authorization: `Bearer ${await issuer.token()}` })
    expect(await (await inline.request('/', { headers })).json()).toEqual({ sub: 'app-1' })

    /** As another copy of Hono has it: not assignable to ours. */
    interface OtherContext {
      readonly req: { header(name: string): string | undefined; readonly raw: Request }
      readonly set: <K extends string>(name: K, value: unknown) => void
    }
    type OtherMiddleware = (c: OtherContext, next: () => Promise<void>) => Promise<Response | undefined>
    const other: OtherMiddleware = honoAuth({ verifier })
    const variables = new Map<string, unknown>()
    const raw = new Request('http://service/', { headers })
    await other(
      {
        req: { header: (name) => headers.get(name) ?? undefined, raw },
        set: (name, value) => variables.set(name, value),
      },
      async () => undefined,
    )
    expect(variables.get('caracal')).toMatchObject({ sub: 'app-1' })
  })
})

describe('MCP', () => {
  it('gives what the bearer middleware of MCP servers asks for', async () => {
    const token = await issuer.token()
    const info = await caracalTokenVerifier({ verifier }).verifyAccessToken(token)
    expect(info).toMatchObject({ token, clientId: 'app-1', scopes: ['x:read'] })
    expect(info.expiresAt).toBeGreaterThan(Date.now() / 1000)
    const refused = caracalTokenVerifier({ verifier }).verifyAccessToken('nonsense')
    await expect(refused).rejects.toBeInstanceOf(McpAuthError)
    await expect(refused).rejects.toMatchObject({ code: 'invalid_token', status: 401 })
  })

  it('40: a tool without its scope fails alone', async () => {
    const read = requireToolScopes(['x:read'], (_args: object, _context: object) => 'read')
    const write = requireToolScopes(['x:write'], (_args: object, _context: object) => 'written')
    const context = { authInfo: { scopes: ['x:read'] } }
    expect(await read({}, context)).toBe('read')
    expect(await read({}, { http: context })).toBe('read')
    expect(await write({}, context)).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('insufficient_scope') }],
    })
    expect(await read({}, {})).toMatchObject({ isError: true })
  })

  it('gives a tool that an MCP server takes as it is, types included', () => {
    const server = new McpServer({ name: 'notes', version: '1.0.0' })
    const tool = server.registerTool(
      'read_notes',
      { description: 'Reads all notes' },
      requireToolScopes(['x:read'], () => ({ content: [{ type: 'text' as const, text: 'a note' }] })),
    )
    expect(tool.enabled).toBe(true)
  })

  it('verifies for FastMCP and describes the resource', async () => {
    expect(await verifyFastMcpToken(await issuer.token(), verifier)).toEqual({
      sub: 'app-1',
      zoneId: 'zone-1',
      scope: 'x:read',
    })
    await expect(verifyFastMcpToken('', verifier)).rejects.toMatchObject({
      name: 'FastMcpAuthError',
      code: 'missing_token',
    })
    expect(protectedResourceMetadata({ resource: 'resource://x', issuer: issuer.url })).toEqual({
      resource: 'resource://x',
      authorization_servers: [issuer.url],
      bearer_methods_supported: ['header'],
    })
  })
})
