import { Page } from '../ui/basics.tsx'

export function Sessions() {
  return <Page title="Sessions">…</Page>
}
