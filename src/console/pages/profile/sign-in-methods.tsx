import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Button, Failure, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Table } from '../../ui/table.tsx'
import { leaveFor, providerName } from '../sign-in/social.tsx'
import { ChangePassword } from './change-password.tsx'

interface SocialMethod {
  readonly provider: string
  readonly available: boolean
  readonly email: string | null
  readonly linked_at: string | null
}

interface Methods {
  readonly password: boolean
  readonly social: readonly SocialMethod[]
}

const pathOf = (provider: string) => `/auth/methods/${encodeURIComponent(provider)}`

/** What an account signs in with. */
export function SignInMethods({ email }: { readonly email: string }) {
  const methods = useData('methods', (signal) => api.get<Methods>('/auth/methods', signal))
  return (
    <Async of={methods}>
      {({ password, social }) => (
        <>
          {social.length > 0 && (
            <SocialMethods social={social} password={password} onChange={methods.reload} />
          )}
          {password && <ChangePassword email={email} />}
        </>
      )}
    </Async>
  )
}

function SocialMethods({
  social,
  password,
  onChange,
}: Methods & {
  readonly onChange: () => void
}) {
  const [unlinking, setUnlinking] = useState<SocialMethod>()
  const [error, setError] = useState<Error>()
  const usable = social.filter(({ available, linked_at }) => available && linked_at !== null)
  const isLast = ({ provider }: SocialMethod) =>
    !password && !usable.some((other) => other.provider !== provider)
  const link = async (provider: string) => {
    setError(undefined)
    await leaveFor(pathOf(provider)).catch(setError)
  }
  const unlink = async (provider: string) => {
    await api.remove(pathOf(provider))
    onChange()
  }
  return (
    <Section title="Accounts you sign in with">
      {error !== undefined && <Failure error={error} />}
      <Table
        rows={social}
        keyOf={({ provider }) => provider}
        columns={[
          { title: 'With', cell: ({ provider }) => providerName(provider) },
          {
            title: 'Account',
            cell: ({ email, linked_at }) =>
              linked_at === null ? (
                <span class="faint">not linked</span>
              ) : (
                <span class="address">
                  {email ?? 'no confirmed address'}{' '}
                  <span class="hint">
                    linked <Time at={linked_at} />
                  </span>
                </span>
              ),
          },
          {
            title: '',
            align: 'right',
            cell: (method) => {
              if (method.linked_at === null)
                return (
                  <Button onClick={() => link(method.provider)}>Link {providerName(method.provider)}</Button>
                )
              if (isLast(method)) return <span class="faint">your only way to sign in</span>
              return (
                <Button kind="danger" onClick={() => setUnlinking(method)}>
                  Unlink {providerName(method.provider)}
                </Button>
              )
            },
          },
        ]}
        empty=""
      />
      {unlinking !== undefined && (
        <Confirm
          title={`Unlink ${providerName(unlinking.provider)}?`}
          action="Unlink"
          onConfirm={() => unlink(unlinking.provider)}
          onClose={() => setUnlinking(undefined)}
        >
          <p>You will no longer sign in with it. Your sessions in other browsers end.</p>
        </Confirm>
      )}
    </Section>
  )
}
