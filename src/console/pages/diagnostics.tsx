import { Page } from '../ui/basics.tsx'

export function Diagnostics() {
  return <Page title="Diagnostics">…</Page>
}
