/** Who made a thing, by name (sdk-cli-console §13.2). */
import { api } from '../api.ts'
import { useData } from '../state/use-data.ts'
import type { Names } from './names.tsx'

const none: Names = new Map()
/** The server takes so many at once. */
const atOnce = 100

interface Profiles {
  readonly profiles: readonly { readonly id: string; readonly name: string }[]
}

/** Names of operators by id, for `Named`. Empty while they are not known; what has no name is left out. */
export function useOperatorNames(ids: readonly (string | null)[]): Names {
  const wanted = [...new Set(ids.filter((id) => id !== null))].slice(0, atOnce)
  const { value } = useData(`operators ${wanted}`, async (signal) => {
    if (wanted.length === 0) return none
    const query = new URLSearchParams({ ids: wanted.join(',') })
    const { profiles } = await api.get<Profiles>(`/profiles?${query}`, signal)
    return new Map(profiles.map(({ id, name }) => [id, name]))
  })
  return value ?? none
}
