import { Page } from '../ui/basics.tsx'

export function Subjects() {
  return <Page title="Subjects">…</Page>
}
