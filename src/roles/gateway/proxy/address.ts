/**
 * Which addresses an upstream may have (gateway §12.2). Private space is allowed
 * by default, because upstreams are what operators configured; what is blocked is
 * what no honest upstream has: metadata services, link-local, multicast,
 * unspecified and reserved space. An address that carries an IPv4 address inside
 * is judged by that address. What does not parse is blocked.
 */
import ipaddr from 'ipaddr.js'

type Range = readonly [string, number]

const blocked4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
  ['168.63.129.16', 32],
]

const private4: readonly Range[] = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
]

const blocked6: readonly Range[] = [
  ['fe80::', 10],
  ['ff00::', 8],
  ['2001::', 32],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
]

const private6: readonly Range[] = [
  ['::1', 128],
  ['fc00::', 7],
]

const parse4 = (ranges: readonly Range[]): [ipaddr.IPv4, number][] =>
  ranges.map(([base, bits]) => [ipaddr.IPv4.parse(base), bits])
const parse6 = (ranges: readonly Range[]): [ipaddr.IPv6, number][] =>
  ranges.map(([base, bits]) => [ipaddr.IPv6.parse(base), bits])

const rules = {
  blocked4: parse4(blocked4),
  private4: parse4(private4),
  blocked6: parse6(blocked6),
  private6: parse6(private6),
}

/** Prefixes whose addresses carry an IPv4 address, and the byte where it starts. */
const embedding: readonly (readonly [ipaddr.IPv6, number, number])[] = [
  [ipaddr.IPv6.parse('64:ff9b::'), 96, 12],
  // RFC 8215 local-use NAT64; RFC 6052 puts the address of a /96 in the last four bytes.
  [ipaddr.IPv6.parse('64:ff9b:1::'), 48, 12],
  [ipaddr.IPv6.parse('2002::'), 16, 2],
]

export type AddressClass = 'public' | 'private' | 'blocked'

/** Judges one textual IP address (no brackets; a zone id blocks). */
export function classifyAddress(text: string): AddressClass {
  if (!ipaddr.isValid(text) || text.includes('%')) return 'blocked'
  const address = ipaddr.process(text)
  return address.kind() === 'ipv4' ? classify4(address as ipaddr.IPv4) : classify6(address as ipaddr.IPv6)
}

function classify4(address: ipaddr.IPv4): AddressClass {
  if (rules.blocked4.some((range) => address.match(range))) return 'blocked'
  return rules.private4.some((range) => address.match(range)) ? 'private' : 'public'
}

function classify6(address: ipaddr.IPv6): AddressClass {
  if (rules.blocked6.some((range) => address.match(range))) return 'blocked'
  if (rules.private6.some((range) => address.match(range))) return 'private'
  const bytes = address.toByteArray()
  for (const [prefix, bits, offset] of embedding) {
    if (address.match(prefix, bits)) return classify4(new ipaddr.IPv4(bytes.slice(offset, offset + 4)))
  }
  // ::/96 without ::1 (private, above): IPv4-compatible, and :: itself as 0.0.0.0.
  if (bytes.slice(0, 12).every((byte) => byte === 0)) return classify4(new ipaddr.IPv4(bytes.slice(12)))
  return 'public'
}
