import { Link } from '../../router.tsx'

/** For a ledger without a row. `home` is the zone's own address. */
export function NothingYet({ home }: { readonly home: string }) {
  return (
    <>
      Nothing has happened here yet. As soon as an application asks for a mandate, you see it here.{' '}
      <Link to={`${home}/setup`}>Make a first call</Link>
    </>
  )
}
