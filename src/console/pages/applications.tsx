import { Page } from '../ui/basics.tsx'

export function Applications() {
  return <Page title="Applications">…</Page>
}
