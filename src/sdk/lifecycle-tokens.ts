/** Token sources of a client. */
import type { TokenSource } from './context.ts'
import type { Exchanger } from './exchanger.ts'

/** Lifecycle mandates for `resources`; `invalidate` bypasses the cache the next time. */
export function lifecycleTokens(
  exchanger: Exchanger,
  resources: readonly string[],
  scope = 'agent:lifecycle',
): TokenSource {
  let stale = false
  const source: TokenSource = async () => {
    const forceRefresh = stale
    stale = false
    if (resources.length === 0)
      throw new Error(
        'a session needs at least one resource for its lifecycle mandate: set CARACAL_APP_RESOURCES, CARACAL_RESOURCES, CARACAL_RESOURCES_FILE or a credentials manifest, or use applicationTransport()',
      )
    return (await exchanger.exchange({ resources, scopes: scope.split(' '), forceRefresh })).accessToken
  }
  source.invalidate = () => {
    stale = true
  }
  return source
}
