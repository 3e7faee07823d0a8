import { Page } from '../ui/basics.tsx'

export function Dashboard() {
  return <Page title="Dashboard">…</Page>
}
