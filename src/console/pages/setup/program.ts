/** Texts that guided setup hands out, made for one application and one resource. */
import type { Resource } from '../definitions/shapes.ts'

const asText = (value: unknown): string => JSON.stringify(value)
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

/** The smallest program that makes a governed call. */
export function programFor({ identifier, operations, scopes }: Resource): string {
  const operation = operations.find(({ method }) => method === 'GET') ?? operations[0]
  const { method, path, scope } = operation ?? { method: 'GET', path: '/', scope: scopes[0] ?? '' }
  const options = method === 'GET' ? '' : `, { method: ${quoted(method)} }`
  return `import { Caracal } from 'caracal/sdk'

const caracal = new Caracal()
const call = caracal.applicationTransport(${quoted(identifier)}, { scopes: [${quoted(scope)}] })
const answer = await call(caracal.gatewayRequest(${quoted(identifier)}, ${quoted(path)}).url${options})
console.log(answer.status, await answer.text())
await caracal.close()`
}

/** A policy document that gives the application every scope of the resource, and nothing else to anybody. */
export function policyFor(applicationId: string, { identifier, scopes }: Resource): string {
  return `# caracal:data-document
package caracal.authz

app_ids := {"agent": ${asText(applicationId)}}

grants := {${asText(identifier)}: {"application": "agent", "roles": {${asText(applicationId)}: ${asText(scopes)}}}}`
}
