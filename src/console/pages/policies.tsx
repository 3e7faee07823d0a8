import { Page } from '../ui/basics.tsx'

export function Policies() {
  return <Page title="Policies">…</Page>
}
