// A planner delegates one scope to a worker of another application, and takes it back.
import { Authority, Caracal } from 'caracal/sdk'

const planner = new Caracal()
const worker = new Caracal({
  env: {
    ...process.env,
    CARACAL_APPLICATION_ID: process.env.WORKER_APPLICATION_ID,
    CARACAL_APP_CLIENT_SECRET: process.env.WORKER_CLIENT_SECRET,
    CARACAL_APP_RESOURCES: 'resource://reports',
  },
})
const { applicationId: workerId } = await worker.identity()
const read = () => worker.fetch('resource://reports', '/daily', { scopes: ['reports:read'] })

// The worker begins with nothing: its session can do no more than what is delegated to it.
await worker.session(
  (session) =>
    planner.session(async () => {
      const { delegationId } = await planner.delegate({
        toSessionId: session.sessionId,
        toApplicationId: workerId,
        resourceId: 'resource://reports',
        scopes: ['reports:read'],
        ttlSeconds: 300,
      })
      const accept = (work) =>
        worker.bind(session, () => worker.acceptDelegation(delegationId, work, { validate: true }))

      console.log(`delegated: ${(await accept(read)).status}`)
      await planner.revokeDelegation(delegationId)
      console.log(`revoked: ${await accept(read).catch((error) => error.message)}`)
    }),
  { authority: Authority.none(), labels: [workerId] },
)
await Promise.all([planner.close(), worker.close()])
