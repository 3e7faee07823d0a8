/** What the server says of its Control endpoint (sdk-cli-console §13.2). */
import { api } from '../../api.ts'
import { useSurroundings } from '../../state/session.tsx'
import { type Data, useData } from '../../state/use-data.ts'

export interface EndpointState {
  /** The route exists. */
  readonly served: boolean
  /** It can be turned on and off while the server runs. */
  readonly switchable: boolean
  readonly open: boolean
  /** Of its tokens; the control resource of a zone is called so. */
  readonly audience: string
  /** Whether this operator may turn it, and manage its keys. */
  readonly mayManage: boolean
}

export interface Catalog {
  /** Every scope that a key can hold. */
  readonly scopes: readonly string[]
  readonly commands: readonly {
    readonly command: string
    readonly summary: string
    readonly subcommands: readonly {
      readonly subcommand: string
      /** `null`: it has none of its own. */
      readonly scope: string | null
      readonly flags: readonly { readonly name: string }[]
    }[]
  }[]
}

/** The console answers the management API too, so the address is that of this page. */
export const invokeUrl = (): string => `${location.origin}/v1/control/invoke`

/** Nothing is offered in a zone that is only looked at. */
export function useEndpoint(): Data<EndpointState> {
  const { readOnly } = useSurroundings()
  return useData(`control endpoint ${readOnly}`, async (signal) => {
    const state = await api.get<EndpointState>('/control/status', signal)
    return { ...state, mayManage: state.mayManage && !readOnly }
  })
}

export const readCatalog = (signal?: AbortSignal) => api.get<Catalog>('/control/catalog', signal)
export const useCatalog = (): Data<Catalog> => useData('control catalog', readCatalog)
