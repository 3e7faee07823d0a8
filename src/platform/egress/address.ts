/**
 * What kind of address a connection would go to (gateway §12.2, §12.5). An IPv6 address that
 * only wraps an IPv4 one is judged by what it wraps.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export type AddressClass =
  | 'public'
  | 'private'
  | 'unique_local'
  | 'cgnat'
  | 'loopback'
  | 'unspecified'
  | 'this_network'
  | 'link_local'
  | 'multicast'
  | 'reserved'
  | 'teredo'
  /** A cloud metadata endpoint outside link-local space. */
  | 'metadata'
  /** Routable by nobody in earnest: documentation, benchmarking, protocol assignments. */
  | 'special'
  | 'invalid'

const metadataEndpoints: ReadonlySet<string> = new Set([
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '192.0.0.192',
  '168.63.129.16',
])

function ipv4Class(address: ipaddr.IPv4): AddressClass {
  if (metadataEndpoints.has(address.toString())) return 'metadata'
  const [first] = address.octets as [number]
  if (first >= 240) return 'reserved'
  switch (address.range()) {
    case 'unicast':
      return 'public'
    case 'private':
      return 'private'
    case 'carrierGradeNat':
      return 'cgnat'
    case 'loopback':
      return 'loopback'
    case 'linkLocal':
      return 'link_local'
    case 'multicast':
      return 'multicast'
    case 'unspecified':
      return address.toString() === '0.0.0.0' ? 'unspecified' : 'this_network'
    case 'broadcast':
      return 'reserved'
    default:
      return 'special'
  }
}

/** The IPv4 address an IPv6 one stands for, or `null` when it stands for itself. */
function embeddedIpv4(address: ipaddr.IPv6): ipaddr.IPv4 | null {
  const bytes = address.toByteArray()
  const startsWith = (...prefix: number[]): boolean => prefix.every((byte, at) => bytes[at] === byte)
  const zeroBetween = (from: number, to: number): boolean => bytes.slice(from, to).every((byte) => byte === 0)
  const at = (...places: number[]): ipaddr.IPv4 =>
    new ipaddr.IPv4(places.map((place) => bytes[place] as number))
  const lastFour = (): ipaddr.IPv4 => at(12, 13, 14, 15)

  if (address.isIPv4MappedAddress()) return lastFour()
  // NAT64 well-known prefix, RFC 6052
  if (startsWith(0x00, 0x64, 0xff, 0x9b) && zeroBetween(4, 12)) return lastFour()
  // NAT64 local use 64:ff9b:1::/48, RFC 8215: either the /48 form with its empty suffix or a /96 below it
  if (startsWith(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01)) {
    return bytes[8] === 0 && zeroBetween(11, 16) ? at(6, 7, 9, 10) : lastFour()
  }
  // 6to4, RFC 3056
  if (startsWith(0x20, 0x02)) return at(2, 3, 4, 5)
  // IPv4-compatible ::/96, without :: and ::1
  if (zeroBetween(0, 12) && !(zeroBetween(12, 15) && (bytes[15] as number) <= 1)) return lastFour()
  return null
}

function ipv6Class(address: ipaddr.IPv6): AddressClass {
  const embedded = embeddedIpv4(address)
  if (embedded) return ipv4Class(embedded)
  const plain = new ipaddr.IPv6(address.parts)
  if (metadataEndpoints.has(plain.toString())) return 'metadata'
  switch (plain.range()) {
    case 'unicast':
      return ((plain.parts[0] as number) & 0xe000) === 0x2000 ? 'public' : 'reserved'
    case 'uniqueLocal':
      return 'unique_local'
    case 'loopback':
      return 'loopback'
    case 'unspecified':
      return 'unspecified'
    case 'linkLocal':
      return 'link_local'
    case 'multicast':
      return 'multicast'
    case 'teredo':
      return 'teredo'
    case 'reserved':
      return 'special'
    default:
      return ((plain.parts[0] as number) & 0xe000) === 0x2000 ? 'special' : 'reserved'
  }
}

/** Class of a literal address as a resolver returns it; anything else is `invalid`. */
export function classifyAddress(address: string): AddressClass {
  if (isIP(address) === 0) return 'invalid'
  const parsed = ipaddr.parse(address)
  return parsed.kind() === 'ipv4' ? ipv4Class(parsed as ipaddr.IPv4) : ipv6Class(parsed as ipaddr.IPv6)
}

const privateClasses: ReadonlySet<AddressClass> = new Set(['private', 'unique_local', 'cgnat'])

/** The strict rule of STS and control: public only, private space for hosts named by the operator (gateway §12.5). */
export function egressAllowed(addressClass: AddressClass, privateHost: boolean): boolean {
  return addressClass === 'public' || (privateHost && privateClasses.has(addressClass))
}

const upstreamClasses: ReadonlySet<AddressClass> = new Set([
  'public',
  'special',
  'private',
  'unique_local',
  'cgnat',
  'loopback',
])
const publicUpstreamClasses: ReadonlySet<AddressClass> = new Set(['public', 'special'])

/** The rule for gateway upstreams: operators configure them, so private space is open unless blocked (gateway §12.2). */
export function upstreamAllowed(addressClass: AddressClass, blockPrivate: boolean): boolean {
  return (blockPrivate ? publicUpstreamClasses : upstreamClasses).has(addressClass)
}
