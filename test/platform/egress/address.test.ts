import { describe, expect, test } from 'vitest'
import {
  type AddressClass,
  classifyAddress,
  egressAllowed,
  upstreamAllowed,
} from '../../../src/platform/egress/address.ts'

const table: readonly (readonly [string, AddressClass])[] = [
  ['93.184.216.34', 'public'],
  ['2606:2800:220:1:248:1893:25c8:1946', 'public'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'cgnat'],
  ['100.127.255.255', 'cgnat'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['::1', 'loopback'],
  ['0.0.0.0', 'unspecified'],
  ['::', 'unspecified'],
  ['0.1.2.3', 'this_network'],
  ['169.254.169.254', 'link_local'],
  ['fe80::1', 'link_local'],
  ['febf::1', 'link_local'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['ff02::1', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['fc00::1', 'unique_local'],
  ['fdff::1', 'unique_local'],
  ['fec0::1', 'reserved'],
  ['4000::1', 'reserved'],
  ['192.0.2.1', 'special'],
  ['198.18.0.1', 'special'],
  ['2001:db8::1', 'special'],
  ['100.100.100.200', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['fd00:ec2::254', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  // wrapped IPv4
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:a9fe:a9fe', 'link_local'],
  ['::ffff:93.184.216.34', 'public'],
  ['64:ff9b::7f00:1', 'loopback'],
  ['64:ff9b::5db8:d822', 'public'],
  ['64:ff9b:1:7f00:0:100::', 'loopback'],
  ['64:ff9b:1::a9fe:a9fe', 'link_local'],
  ['2002:7f00:1::1', 'loopback'],
  ['2002:a00:1::1', 'private'],
  ['::7f00:1', 'loopback'],
  ['::a9fe:a9fe', 'link_local'],
  ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'teredo'],
  // not addresses
  ['localhost', 'invalid'],
  ['127.1', 'invalid'],
  ['0x7f.0.0.1', 'invalid'],
  ['0177.0.0.1', 'invalid'],
  ['2130706433', 'invalid'],
  ['', 'invalid'],
]

describe('address classes', () => {
  test.each(table)('%s is %s', (address, expected) => {
    expect(classifyAddress(address)).toBe(expected)
  })

  test('the strict rule: public, and private space for named hosts only', () => {
    const classes = [...new Set(table.map(([, addressClass]) => addressClass))]
    expect(classes.filter((addressClass) => egressAllowed(addressClass, false))).toEqual(['public'])
    expect(classes.filter((addressClass) => egressAllowed(addressClass, true))).toEqual([
      'public',
      'private',
      'cgnat',
      'unique_local',
    ])
  })

  test('the upstream rule: private space unless blocked, never link-local, metadata or reserved', () => {
    const classes = [...new Set(table.map(([, addressClass]) => addressClass))]
    expect(classes.filter((addressClass) => upstreamAllowed(addressClass, false))).toEqual([
      'public',
      'private',
      'cgnat',
      'loopback',
      'unique_local',
      'special',
    ])
    expect(classes.filter((addressClass) => upstreamAllowed(addressClass, true))).toEqual([
      'public',
      'special',
    ])
  })
})
