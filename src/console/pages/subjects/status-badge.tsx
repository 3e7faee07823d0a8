import { Badge, type Tone } from '../../ui/basics.tsx'

const tones: Readonly<Record<string, Tone>> = {
  active: 'ok',
  suspended: 'warn',
  revoked: 'bad',
}

/** Of a session, a record or a connection. */
export function StatusBadge({ status }: { readonly status: string }) {
  return <Badge tone={tones[status] ?? 'idle'}>{status}</Badge>
}
