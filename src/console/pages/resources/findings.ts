/** What is wrong with a resource as it is defined, before any call is made. */
import type { Provider, Resource } from '../definitions/shapes.ts'
import { isOAuth } from '../providers/kinds.ts'

interface Finding {
  readonly tone: 'bad' | 'warn'
  readonly text: string
}

/** `provider` is undefined when there is none of that id any more. */
export function findingsOf(resource: Resource, provider: Provider | undefined): readonly Finding[] {
  const findings: Finding[] = []
  const bad = (text: string) => findings.push({ tone: 'bad', text })
  const warn = (text: string) => findings.push({ tone: 'warn', text })
  if (resource.upstream_url === null) return findings
  if (provider === undefined) bad('Its provider was deleted: every call is refused until it has another.')
  else if (refusesHost(provider, resource.upstream_url))
    bad(
      `${provider.name} does not send its credential to ${hostOf(resource.upstream_url)}: calls are refused.`,
    )
  if (provider !== undefined && isOAuth(provider.kind) && provider.connectivity_failed_at !== null)
    warn(`The connection of ${provider.name} is not confirmed: test it on its page.`)
  if (resource.operation_enforcement === 'transport_uniform') {
    warn('Methods and paths are not checked: whoever holds a scope may call everything there.')
    return findings
  }
  if (resource.operations.length === 0)
    bad(
      'No operation is declared: the gateway refuses every call. Add the methods and paths that agents need.',
    )
  const used = new Set(resource.operations.map(({ scope }) => scope))
  const unused = resource.scopes.filter((scope) => !used.has(scope))
  if (resource.operations.length > 0 && unused.length > 0) warn(`No operation needs ${unused.join(', ')}.`)
  return findings
}

const hostOf = (url: string): string => new URL(url).hostname

/** OAuth kinds name the hosts of their tokens there, not those of upstreams. */
function refusesHost({ kind, config_json }: Provider, upstream: string): boolean {
  const hosts = config_json.allowed_token_hosts
  return !isOAuth(kind) && Array.isArray(hosts) && !hosts.includes(hostOf(upstream))
}
