import { Page } from '../ui/basics.tsx'

export function Providers() {
  return <Page title="Providers">…</Page>
}
