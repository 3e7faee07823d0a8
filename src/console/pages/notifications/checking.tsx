import { Section, Snippet } from '../../ui/basics.tsx'

const program = `import { createHmac, timingSafeEqual } from 'node:crypto'

/** \`body\` is the text of the request as it came. */
export function isFromCaracal(headers, body, secret) {
  const timestamp = headers['x-caracal-timestamp'] ?? ''
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false
  const digest = createHmac('sha256', secret).update(timestamp + '.' + body).digest('hex')
  const expected = Buffer.from('v1=' + digest)
  const given = Buffer.from(headers['x-caracal-signature'] ?? '')
  return given.length === expected.length && timingSafeEqual(given, expected)
}`

/** How a receiver knows that a delivery is ours. */
export function Checking() {
  return (
    <Section title="How the receiver checks it">
      <p>
        Each request is a POST of JSON, signed with the secret of the sink. It counts as delivered when the
        answer is 2xx within 10 seconds. <code>X-Caracal-Delivery</code> stays the same when it is tried
        again, so the receiver can tell what it has had.
      </p>
      <details>
        <summary>The check in Node.js</summary>
        <Snippet text={program} />
      </details>
    </Section>
  )
}
