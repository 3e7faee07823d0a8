import { useEffect, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { Button, Notice } from '../ui/basics.tsx'
import { Form, TextField, type Values } from '../ui/form.tsx'

interface Ways {
  readonly email: boolean
  readonly registration: 'open' | 'closed'
}

type Way = 'token' | 'email' | 'register'

export function SignIn({ why, onSignedIn }: { readonly why?: string; readonly onSignedIn: () => void }) {
  const [ways, setWays] = useState<Ways>({ email: false, registration: 'closed' })
  const [way, setWay] = useState<Way>('token')
  useEffect(() => {
    document.title = 'Sign in · Caracal'
    api.get<Ways>('/auth/config').then(setWays, () => undefined)
  }, [])
  const submit = async (values: Values) => {
    if (way === 'token') await api.post('/auth/session', { token: values.text('token') })
    else {
      const account = { email: values.text('email'), password: values.raw('password') }
      await api.post(way === 'register' ? '/auth/register' : '/auth/session', account)
    }
    onSignedIn()
  }
  return (
    <div class="alone">
      <h1>
        <img src="/console/favicon.svg" alt="" width="36" height="36" /> Caracal
      </h1>
      <p class="lead">Which agent did this, under whose authority?</p>
      {why !== undefined && <Notice>{why}</Notice>}
      <Form key={way} action={way === 'register' ? 'Create account' : 'Sign in'} onSubmit={submit}>
        {way === 'token' ? (
          <TextField
            name="token"
            label="Administrator token"
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            hint={
              <>
                Where the server was started, <code>caracal serve</code> names the file that holds it.
              </>
            }
          />
        ) : (
          <>
            <TextField name="email" label="E-mail" type="email" autoComplete="username" autoFocus required />
            <TextField
              name="password"
              label="Password"
              type="password"
              autoComplete={way === 'register' ? 'new-password' : 'current-password'}
              required
              {...(way === 'register' ? { hint: 'At least 8 characters.' } : {})}
            />
          </>
        )}
      </Form>
      {ways.email && (
        <p class="ways">
          {way !== 'token' && (
            <Button kind="link" onClick={() => setWay('token')}>
              Use a token
            </Button>
          )}
          {way !== 'email' && (
            <Button kind="link" onClick={() => setWay('email')}>
              Use e-mail and password
            </Button>
          )}
          {way !== 'register' && ways.registration === 'open' && (
            <Button kind="link" onClick={() => setWay('register')}>
              Create an account
            </Button>
          )}
        </p>
      )}
    </div>
  )
}
