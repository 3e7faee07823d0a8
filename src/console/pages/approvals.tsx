import { Page } from '../ui/basics.tsx'

export function Approvals() {
  return <Page title="Approvals">…</Page>
}
