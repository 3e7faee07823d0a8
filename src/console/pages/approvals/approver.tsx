import { api, withQuery } from '../../api.ts'
import { useData } from '../../state/use-data.ts'

interface Profiles {
  readonly profiles: readonly { readonly id: string; readonly name: string }[]
}

/** Whoever decided, by name where the server knows one. */
export function Approver({ id }: { readonly id: string }) {
  const { value } = useData(`profile ${id}`, (signal) =>
    api.get<Profiles>(withQuery('/profiles', { ids: id }), signal),
  )
  const name = value?.profiles.find((profile) => profile.id === id)?.name
  return name === undefined ? <code>{id}</code> : <span title={id}>{name}</span>
}
