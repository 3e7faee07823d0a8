import { useEffect, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { Link } from '../router.tsx'
import { lastWay } from '../state/sign-in-way.ts'
import { Button, Notice } from '../ui/basics.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Form, TextField, type Values } from '../ui/form.tsx'
import { Alone } from './alone.tsx'
import { ComingBack, SocialButtons } from './sign-in/social.tsx'

interface Ways {
  readonly email: boolean
  readonly social: readonly string[]
  readonly passwordReset: boolean
  readonly registration: 'open' | 'closed'
}

type Way = 'token' | 'email' | 'register'

export function SignIn({ why, onSignedIn }: { readonly why?: string; readonly onSignedIn: () => void }) {
  const [ways, setWays] = useState<Ways>({
    email: false,
    social: [],
    passwordReset: false,
    registration: 'closed',
  })
  const [way, setWay] = useState<Way>(lastWay)
  const [mailedTo, setMailedTo] = useState<string>()
  useEffect(() => {
    const before = document.title
    document.title = 'Sign in · Caracal'
    api.get<Ways>('/auth/config').then(
      (known) => {
        setWays(known)
        if (!known.email) setWay('token')
      },
      () => undefined,
    )
    return () => {
      document.title = before
    }
  }, [])
  const submit = async (values: Values) => {
    if (way === 'token') await api.post('/auth/session', { token: values.text('token') })
    else {
      const account = { email: values.text('email'), password: values.raw('password') }
      const answer = await api.post<{ readonly status?: string }>(
        way === 'register' ? '/auth/register' : '/auth/session',
        account,
      )
      if (answer.status === 'verification_sent') return setMailedTo(account.email)
    }
    onSignedIn()
  }
  if (mailedTo !== undefined) {
    return (
      <Alone title="Look into your mail">
        <p>
          We have sent a link to <strong>{mailedTo}</strong>. Open it within a day to confirm that the address
          is yours.
        </p>
        <Button
          kind="link"
          onClick={() => {
            setMailedTo(undefined)
            setWay('email')
          }}
        >
          To the sign-in
        </Button>
      </Alone>
    )
  }
  return (
    <Alone title="Caracal">
      <p class="lead">Which agent did this, under whose authority?</p>
      {why !== undefined && <Notice>{why}</Notice>}
      <ComingBack />
      <SocialButtons providers={ways.social} />
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
          {way === 'email' && ways.passwordReset && <Link to="/reset-password">Forgot your password?</Link>}
          {way !== 'register' && ways.registration === 'open' && (
            <Button kind="link" onClick={() => setWay('register')}>
              Create an account
            </Button>
          )}
        </p>
      )}
    </Alone>
  )
}

interface SignInAgainProps {
  readonly onSignedIn: () => void
  readonly onLeave: () => void
}

/** Over the page on which the session ended: whoever signs in goes on there, with all that they have typed. */
export function SignInAgain({ onSignedIn, onLeave }: SignInAgainProps) {
  return (
    <Dialog title="Sign in again" onClose={onLeave} opaque>
      <SignIn why="Your session has ended. Sign in to go on where you were." onSignedIn={onSignedIn} />
    </Dialog>
  )
}
