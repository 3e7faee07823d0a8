// A Hono service that takes mandates of the resource `resource://reports`.
import { serve } from '@hono/node-server'
import { caracalAuth } from 'caracal/hono'
import { describeAuthority } from 'caracal/sdk'
import { createMandateVerifier, InMemoryRevocationStore } from 'caracal/verify'
import { Hono } from 'hono'

const verifier = createMandateVerifier({
  issuer: process.env.CARACAL_STS_URL,
  audience: 'resource://reports',
  zoneId: process.env.CARACAL_ZONE_ID,
  revocations: new InMemoryRevocationStore(),
})

const app = new Hono()
app.use('/daily', caracalAuth({ verifier }, { requiredScopes: ['reports:read'], requireDelegation: true }))
app.get('/daily', (c) =>
  // Anywhere below the handler: under whose authority does this code run?
  c.json({ report: 'all is well', readBy: c.get('caracal').clientId, chain: describeAuthority().chain }),
)
serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 7002), hostname: '127.0.0.1' }, ({ port }) => {
  console.log(`listening on ${port}`)
})
