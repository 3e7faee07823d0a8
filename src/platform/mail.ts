/** Mail by SMTP: plain text, one recipient. */
import { createTransport } from 'nodemailer'

export interface Letter {
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Mailer {
  /** Settles when the mail server has taken the letter; rejects with what it said. */
  send(letter: Letter): Promise<void>
}

export interface MailerOptions {
  /** `smtp://` or `smtps://` with user and password as it needs them; options of nodemailer as its query. */
  readonly url: string
  readonly from: string
  /** Refuses a server that does not offer STARTTLS, unless the URL says `ignoreTLS=true`. */
  readonly requireTls: boolean
}

const LIMIT_MS = 10_000

export function createMailer({ url, from, requireTls }: MailerOptions): Mailer {
  const ignoresTls = new URL(url).searchParams.get('ignoreTLS') === 'true'
  const transport = createTransport({
    url,
    requireTLS: requireTls && !ignoresTls,
    connectionTimeout: LIMIT_MS,
    greetingTimeout: LIMIT_MS,
    socketTimeout: LIMIT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    async send({ to, subject, text }) {
      await transport.sendMail({ from, to: { name: '', address: to }, subject, text })
    },
  }
}
