import { Time } from '../../ui/basics.tsx'
import type { Approval } from './approval.ts'

/** How long it can still be decided, or used. */
export function Window({ approval: { state, expires_at } }: { readonly approval: Approval }) {
  if (state === 'pending')
    return (
      <>
        ends <Time at={expires_at} />
      </>
    )
  if (state === 'approved')
    return (
      <>
        to be used until <Time at={expires_at} />
      </>
    )
  return <span class="faint">over</span>
}
