import { Page } from '../ui/basics.tsx'

export function Resources() {
  return <Page title="Resources">…</Page>
}
