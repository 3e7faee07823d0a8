/** A look at an operator path: it carries no secret, and needs nothing but the answer. */
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getOverTls } from 'node:https'

export interface Probe {
  readonly timeoutMs: number
  /** A listener on this host shows the certificate of the name that its callers know: it is not judged. */
  readonly anyCertificate: boolean
}

/** Answers status and text, also of a redirect. Rejects when there is no answer, with a `TimeoutError` when it is late. */
export async function probe(
  url: string,
  { timeoutMs, anyCertificate }: Probe,
): Promise<{ readonly status: number; readonly text: string }> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = url.startsWith('https:')
        ? getOverTls(url, { signal, agent: false, rejectUnauthorized: !anyCertificate }, resolve)
        : getPlain(url, { signal, agent: false }, resolve)
      request.on('error', reject)
    })
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk
    return { status: response.statusCode ?? 0, text }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}
