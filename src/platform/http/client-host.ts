/** A listening host as a client on this machine names it in a URL: every address is `localhost`, IPv6 in brackets. */
export function clientHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
