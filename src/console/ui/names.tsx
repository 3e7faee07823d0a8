/** Applications as people call them. */
import { api, inZone } from '../api.ts'
import { useData } from '../state/use-data.ts'
import { Id } from './basics.tsx'

export type Names = ReadonlyMap<string, string>

interface Application {
  readonly id: string
  readonly name: string
}

const none: Names = new Map()

/** Names of a zone's applications, also of archived ones, by id. Empty while they are not known. */
export function useApplicationNames(zoneId: string): Names {
  const { value } = useData(`application names ${zoneId}`, async (signal) => {
    const lists = await Promise.all(
      ['active', 'archived'].map((status) =>
        api.list<Application>(inZone(zoneId, `/applications?status=${status}`), signal),
      ),
    )
    return new Map(lists.flat().map(({ id, name }) => [id, name]))
  })
  return value ?? none
}

interface NamedProps {
  readonly id: string | null | undefined
  readonly names: Names
}

export function Named({ id, names }: NamedProps) {
  const name = id ? names.get(id) : undefined
  return name === undefined ? <Id value={id} /> : <span title={id ?? ''}>{name}</span>
}
