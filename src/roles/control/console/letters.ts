/** What is mailed to console accounts. */
import type { Letter } from '../../../platform/mail.ts'

type Written = Omit<Letter, 'to'>

export const resetLetter = (link: string, host: string): Written => ({
  subject: 'Set a new password for Caracal',
  text: `Somebody, probably you, asked for a new password for the Caracal console at ${host}.

Set it here within half an hour:

${link}

If it was not you, there is nothing to do: your password stays as it is.
`,
})

export const verifyLetter = (link: string, host: string): Written => ({
  subject: 'Confirm your e-mail address for Caracal',
  text: `An account with this address was registered at the Caracal console at ${host}.

Confirm within a day, with the password you chose, that the address is yours:

${link}

If it was not you, there is nothing to do: the account cannot be used.
`,
})

export const knownLetter = (link: string, host: string): Written => ({
  subject: 'You have an account for Caracal',
  text: `Somebody, probably you, wanted to register this address at the Caracal console at ${host}, where it has an account.

Sign in with it, or set a new password:

${link}

If it was not you, there is nothing to do.
`,
})
