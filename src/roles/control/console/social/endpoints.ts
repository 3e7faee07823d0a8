/** Who may vouch for an operator, and where each of them answers. Nothing of it comes from a request. */

export const socialNames = ['google', 'github'] as const
export type SocialName = (typeof socialNames)[number]

/** An OpenID Connect provider. */
export interface GoogleEndpoints {
  /** All spellings of itself that its tokens may carry. */
  readonly issuers: readonly string[]
  readonly authorization: string
  readonly token: string
  readonly keys: string
}

/** OAuth 2.0 alone: who somebody is, is asked for with the access token. */
export interface GitHubEndpoints {
  readonly authorization: string
  readonly token: string
  readonly user: string
  readonly emails: string
}

export interface SocialEndpoints {
  readonly google: GoogleEndpoints
  readonly github: GitHubEndpoints
}

export const socialEndpoints: SocialEndpoints = {
  google: {
    issuers: ['https://accounts.google.com', 'accounts.google.com'],
    authorization: 'https://accounts.google.com/o/oauth2/v2/auth',
    token: 'https://oauth2.googleapis.com/token',
    keys: 'https://www.googleapis.com/oauth2/v3/certs',
  },
  github: {
    authorization: 'https://github.com/login/oauth/authorize',
    token: 'https://github.com/login/oauth/access_token',
    user: 'https://api.github.com/user',
    emails: 'https://api.github.com/user/emails',
  },
}
