/** How somebody in this browser signed in last, so that they are offered the same again. */
import type { Session } from './session.tsx'

type Way = 'token' | 'email'

const key = 'caracal.signInWay'

export const lastWay = (): Way => (localStorage.getItem(key) === 'email' ? 'email' : 'token')

/** Only an account has a reach. */
export function rememberWay({ reach }: Session): void {
  const way: Way = reach === null ? 'token' : 'email'
  localStorage.setItem(key, way)
}
