/**
 * Links mailed to the address of an account. Each carries a secret that is good once, for a while, and only as long
 * as the password stays as it was; only the secret's keyed hash is kept. The secret is in the link's fragment, which
 * no browser sends anywhere.
 */
import { randomBytes } from 'node:crypto'
import { requireSetting } from '../../../config/load.ts'
import { createMailer } from '../../../platform/mail.ts'
import type { Control } from '../control.ts'
import { type ConsoleAccountSecret, findConsoleAccountById } from '../store/console-accounts.ts'
import { knownLetter, resetLetter, verifyLetter } from './letters.ts'

const MINUTE_MS = 60_000
const links = {
  reset: { page: 'reset-password', livesMs: 30 * MINUTE_MS },
  verify: { page: 'verify-email', livesMs: 24 * 60 * MINUTE_MS },
} as const
const letters = {
  reset: { link: 'reset', write: resetLetter },
  verify: { link: 'verify', write: verifyLetter },
  /** The address has an account already. */
  known: { link: 'reset', write: knownLetter },
} as const
/** Of one address: nobody is to be buried in mail. */
const LETTERS = 5
const LETTER_WINDOW_MS = 60 * MINUTE_MS

type Purpose = keyof typeof links
export type LetterKind = keyof typeof letters

export interface MailedLinks {
  /** Mails a letter with its link unless the address has had its letters of this hour. */
  send(account: ConsoleAccountSecret, kind: LetterKind): Promise<void>
  /** The account that the secret was mailed to, once; `null` for any secret that is not good (any more). */
  take(purpose: Purpose, secret: string): Promise<ConsoleAccountSecret | null>
}

/** `null` without a mail server. */
export function createMailedLinks(
  control: Pick<Control, 'db' | 'ephemera' | 'hasher' | 'settings'>,
): MailedLinks | null {
  if (control.settings.CARACAL_SMTP_URL === null) return null
  const { db, ephemera, hasher, settings } = control
  const mailer = createMailer({
    url: control.settings.CARACAL_SMTP_URL,
    from: requireSetting(settings, 'CARACAL_SMTP_FROM'),
    requireTls: settings.CARACAL_MODE !== 'dev',
  })
  const base = requireSetting(settings, 'CARACAL_WEB_URL')
  const keyOf = (purpose: Purpose, secret: string) => `api:console_${purpose}:${hasher.hashGenerated(secret)}`
  const fingerprint = ({ password_hash }: ConsoleAccountSecret) => hasher.hashGenerated(password_hash ?? '')

  async function linkFor(account: ConsoleAccountSecret, purpose: Purpose): Promise<string> {
    const secret = randomBytes(32).toString('base64url')
    const { livesMs, page } = links[purpose]
    await ephemera.set(keyOf(purpose, secret), `${account.id} ${fingerprint(account)}`, livesMs)
    return `${base}/console/${page}#${secret}`
  }

  return {
    async send(account, kind) {
      const { count } = await ephemera.increment(`api:console_mail:${account.email}`, LETTER_WINDOW_MS)
      if (count > LETTERS) return
      const { link, write } = letters[kind]
      await mailer.send({
        to: account.email,
        ...write(await linkFor(account, link), new URL(base).host),
      })
    },
    async take(purpose, secret) {
      const kept = await ephemera.take(keyOf(purpose, secret))
      if (kept === null) return null
      const [id = '', was] = kept.split(' ')
      const account = await findConsoleAccountById(db, id)
      return account !== null && fingerprint(account) === was ? account : null
    },
  }
}
