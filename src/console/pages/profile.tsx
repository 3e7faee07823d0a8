import { Page } from '../ui/basics.tsx'

export function Profile() {
  return <Page title="Profile">…</Page>
}
