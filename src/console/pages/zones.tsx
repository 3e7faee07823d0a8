import { Page } from '../ui/basics.tsx'

export function Zones() {
  return <Page title="Zones">…</Page>
}
