import { Page } from '../ui/basics.tsx'

export function Audit() {
  return <Page title="Audit">…</Page>
}
