/** The lists of a zone that more than one page looks at. */
import { api, inZone, withQuery } from '../../api.ts'
import { type Data, useData } from '../../state/use-data.ts'
import type { Application, Provider, Resource } from './shapes.ts'

type Status = 'active' | 'archived'

function useList<T>(zoneId: string, name: string, status: Status): Data<readonly T[]> {
  const path = withQuery(inZone(zoneId, `/${name}`), { status })
  return useData(path, (signal) => api.list<T>(path, signal))
}

export const useApplications = (zoneId: string, status: Status = 'active') =>
  useList<Application>(zoneId, 'applications', status)
export const useProviders = (zoneId: string, status: Status = 'active') =>
  useList<Provider>(zoneId, 'providers', status)
export const useResources = (zoneId: string, status: Status = 'active') =>
  useList<Resource>(zoneId, 'resources', status)

/** The tabs of a list; `gone` is the word for what is archived. */
export const statusTabs = (gone: string) => [
  { id: 'active', title: 'Active' },
  { id: 'archived', title: gone },
]

export const statusOf = (tab: string): Status => (tab === 'archived' ? 'archived' : 'active')
