// A payment that a person must approve. The agent waits, and pays once somebody said yes.
import { Caracal, isApprovalRequired } from 'caracal/sdk'

const caracal = new Caracal()
const pay = (approvalId) => {
  const payments = caracal.applicationTransport('resource://payments', {
    scopes: ['payments:send'],
    approvalId,
  })
  return payments(caracal.gatewayRequest('resource://payments', '/transfers').url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to: 'caracal rescue', amount: 20 }),
  })
}

caracal.onEvent((event) => {
  if (event.type === 'approval.wait') console.log(`approval: ${event.state}`)
})
try {
  const response = await caracal.withApproval(
    (approvalId) =>
      pay(approvalId).catch((error) => {
        if (isApprovalRequired(error)) console.log(`waiting for approval ${error.approvalId}`)
        throw error
      }),
    { timeoutMs: 60_000 },
  )
  console.log(`paid: ${response.status}`)
} catch (error) {
  console.log(`not paid: ${error.message}`)
  process.exitCode = 1
} finally {
  await caracal.close()
}
