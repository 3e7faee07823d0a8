/** The providers that the settings name. */
import type { Control } from '../../control.ts'
import { databaseClock } from '../../store/console-health.ts'
import { type SocialEndpoints, type SocialName, socialNames } from './endpoints.ts'
import { createGitHub } from './github.ts'
import { createGoogle } from './google.ts'
import type { SocialClient, SocialProvider } from './provider.ts'

export type SocialProviders = ReadonlyMap<SocialName, SocialProvider>

export function createSocialProviders(
  { db, egress, settings }: Pick<Control, 'db' | 'egress' | 'settings'>,
  endpoints: SocialEndpoints,
): SocialProviders {
  const clients: Readonly<Record<SocialName, readonly [string | null, string | null]>> = {
    google: [settings.GOOGLE_CLIENT_ID, settings.GOOGLE_CLIENT_SECRET],
    github: [settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET],
  }
  const create: Readonly<Record<SocialName, (client: SocialClient) => SocialProvider>> = {
    google: (client) => createGoogle(endpoints.google, client, () => databaseClock(db)),
    github: (client) => createGitHub(endpoints.github, client),
  }
  return new Map(
    socialNames.flatMap((name) => {
      const [id, secret] = clients[name]
      return id === null || secret === null ? [] : [[name, create[name]({ id, secret, egress })] as const]
    }),
  )
}
