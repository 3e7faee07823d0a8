/** What ends with an account. */
import { Link } from '../../router.tsx'
import { Notice } from '../../ui/basics.tsx'
import { counted } from '../../ui/format.ts'

export interface OwnAccount {
  readonly email: string
  readonly has_password: boolean
  /** They end with the account. */
  readonly zones: readonly { readonly id: string; readonly name: string }[]
}

export function EndingZones({ zones }: Pick<OwnAccount, 'zones'>) {
  if (zones.length === 0) return <p>No zone ends with it.</p>
  return (
    <Notice tone="warn">
      <p>
        {counted(zones.length, 'zone')} that you made {zones.length === 1 ? 'ends' : 'end'} with it, also for
        others who work there. Applications in {zones.length === 1 ? 'it' : 'them'} can no longer sign in or
        get mandates.
      </p>
      <ul>
        {zones.map(({ id, name }) => (
          <li key={id}>
            <Link to={`/zones/${id}`}>{name}</Link>
          </li>
        ))}
      </ul>
    </Notice>
  )
}
