/** What a zone has of what the first governed call needs. */
import { api, inZone, withQuery } from '../../api.ts'
import { type Data, useData } from '../../state/use-data.ts'
import type { Application, Provider, Resource } from '../definitions/shapes.ts'

export interface SetupState {
  readonly applications: readonly Application[]
  readonly providers: readonly Provider[]
  readonly resources: readonly Resource[]
  readonly policySets: readonly { readonly active_version_id: string | null }[]
  /** When the gateway last let a call through. */
  readonly allowedAt: string | null
}

const refreshMs = 10_000

export function useSetupState(zoneId: string): Data<SetupState> {
  return useData(
    `setup ${zoneId}`,
    async (signal) => {
      const list = <T>(name: string) => api.list<T>(inZone(zoneId, `/${name}`), signal)
      const calls = withQuery(inZone(zoneId, '/audit'), {
        decision: 'allow',
        event_type: 'gateway_resource_request',
        limit: 1,
      })
      const [applications, providers, resources, policySets, allowed] = await Promise.all([
        list<Application>('applications'),
        list<Provider>('providers'),
        list<Resource>('resources'),
        list<{ active_version_id: string | null }>('policy-sets'),
        api.page<{ occurred_at: string }>(calls, signal),
      ])
      const governed = resources.filter(({ upstream_url }) => upstream_url !== null)
      return {
        applications,
        providers,
        resources: governed,
        policySets,
        allowedAt: allowed.items[0]?.occurred_at ?? null,
      }
    },
    { refreshMs },
  )
}
