import { Page } from '../ui/basics.tsx'

export function Setup() {
  return <Page title="Setup">…</Page>
}
