/** Where programs reach the server (sdk-cli-console §1.1). */
import { api } from '../../api.ts'
import { useData } from '../../state/use-data.ts'

interface ServerUrls {
  readonly sts: string
  readonly coordinator: string
  readonly gateway: string
}

/** What clients use when nothing is set. */
const defaults: ServerUrls = {
  sts: 'http://localhost:8080',
  coordinator: 'http://localhost:4000',
  gateway: 'http://localhost:8081',
}

interface KnownUrls extends ServerUrls {
  /** The server did not say; these follow from the address of this page. */
  readonly guessed: boolean
}

export function useServerUrls(): KnownUrls {
  const { value } = useData('server urls', async (signal) => {
    const { urls } = await api.get<{ urls?: ServerUrls }>('/status', signal)
    return urls
  })
  return value === undefined ? guessFrom(location) : { ...value, guessed: false }
}

/** On the console's own ports every role has its own; on any other all are behind the one. */
function guessFrom({ protocol, hostname, port, origin }: Location): KnownUrls {
  const onThisMachine = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  if (port !== '3000' && port !== '3001')
    return { sts: origin, coordinator: origin, gateway: `${origin}/gateway`, guessed: true }
  if (onThisMachine) return { ...defaults, guessed: false }
  const at = (own: number) => `${protocol}//${hostname}:${own}`
  return { sts: at(8080), coordinator: at(4000), gateway: at(8081), guessed: true }
}

/** The variables that name the addresses which are not the defaults. */
export function urlVariables(urls: ServerUrls, of: readonly (keyof ServerUrls)[]): [string, string][] {
  return of
    .filter((name) => urls[name] !== defaults[name])
    .map((name) => [`CARACAL_${name.toUpperCase()}_URL`, urls[name]])
}
