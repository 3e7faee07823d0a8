import { Page } from '../ui/basics.tsx'

export function Workloads() {
  return <Page title="Workloads">…</Page>
}
