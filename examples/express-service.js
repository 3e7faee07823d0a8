// An Express service that takes mandates of the resource `resource://reports`.
import { caracalAuth } from 'caracal/express'
import { createMandateVerifier, InMemoryRevocationStore } from 'caracal/verify'
import express from 'express'

const verifier = createMandateVerifier({
  issuer: process.env.CARACAL_STS_URL,
  audience: 'resource://reports',
  zoneId: process.env.CARACAL_ZONE_ID,
  // With several processes: RedisRevocationStore of caracal/verify/redis.
  revocations: new InMemoryRevocationStore(),
})

const app = express()
app.get(
  '/daily',
  caracalAuth({ verifier }, { requiredScopes: ['reports:read'], requireDelegation: true }),
  (request, response) => {
    response.json({ report: 'all is well', readBy: request.caracal.clientId })
  },
)
const server = app.listen(Number(process.env.PORT ?? 7001), '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`)
})
