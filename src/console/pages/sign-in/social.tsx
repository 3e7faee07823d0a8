/** Leaving for Google or GitHub, and what is said to who comes back without being signed in. */
import { useEffect, useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { setQuery, usePlace } from '../../router.tsx'
import { Button, Failure, Notice } from '../../ui/basics.tsx'

const names: Readonly<Record<string, string>> = { google: 'Google', github: 'GitHub' }

export const providerName = (provider: string): string => names[provider] ?? provider

const sentences: Readonly<Record<string, string>> = {
  access_denied: 'You may not use this console. Ask whoever runs this server to let you in.',
  email_not_verified:
    'The e-mail address of your account is not confirmed yet. Sign in with e-mail and password to get a link.',
  rate_limited: 'Too many attempts. Wait a minute and try again.',
  registration_not_permitted:
    'There is no account for your e-mail address, and it may not have one. Ask whoever runs this server to let you in.',
  social_account_exists:
    'There is an account with your e-mail address already. Sign in to it as before, then link Google or GitHub in your profile.',
  social_account_taken: 'It is linked to another account of this console already.',
  social_already_linked: 'You have linked another one already. Unlink that one first.',
  social_email_not_verified:
    'Your primary e-mail address is not confirmed there. Confirm it, then try again.',
  social_sign_in_cancelled: 'You were not signed in, because you went back or said no.',
  social_sign_in_expired: 'This sign-in was begun in another browser, or too long ago. Try again.',
  social_sign_in_failed:
    'The answer that came back could not be verified. Try again; if it goes on, the log of the server says why.',
  social_unavailable: 'The other side does not answer. Try again later.',
  unauthenticated: 'Your session has ended. Sign in and try again.',
}

/** A word of the query, as it was when the page was opened; it does not stay in the address bar. */
function useWord(name: string): string | null {
  const { query } = usePlace()
  const [word] = useState(query.get(name))
  useEffect(() => {
    if (word !== null) setQuery(name, '')
  }, [])
  return word
}

/** How it went elsewhere. Whoever made the link that led here chooses none of the words. */
export function ComingBack() {
  const error = useWord('sign_in_error')
  const linked = names[useWord('linked') ?? '']
  if (error !== null) return <Notice tone="bad">{sentences[error] ?? 'That did not work. Try again.'}</Notice>
  if (linked === undefined) return null
  return <Notice tone="ok">{linked} is linked. You can sign in with it from now on.</Notice>
}

/** Goes to the provider, if the server says where. */
export async function leaveFor(path: string): Promise<void> {
  const { url } = await api.post<{ readonly url: string }>(path)
  location.assign(url)
}

const returnTo = 'caracal.return-to'

/** The page that was asked for when this tab left to sign in, once. */
export function takeReturn(): string | null {
  const path = sessionStorage.getItem(returnTo)
  sessionStorage.removeItem(returnTo)
  return path
}

export function SocialButtons({ providers }: { readonly providers: readonly string[] }) {
  const [error, setError] = useState<Error>()
  const [leaving, setLeaving] = useState(false)
  const { path, query } = usePlace()
  if (providers.length === 0) return null
  const leave = async (provider: string) => {
    setLeaving(true)
    setError(undefined)
    try {
      sessionStorage.setItem(returnTo, query.size === 0 ? path : `${path}?${query}`)
      await leaveFor(`/auth/social/${provider}`)
    } catch (thrown) {
      setError(thrown as Error)
      setLeaving(false)
    }
  }
  return (
    <div class="social">
      {providers.map((provider) => (
        <Button key={provider} disabled={leaving} onClick={() => leave(provider)}>
          Continue with {providerName(provider)}
        </Button>
      ))}
      {error !== undefined && <Failure error={error} />}
      <p class="or">or</p>
    </div>
  )
}
