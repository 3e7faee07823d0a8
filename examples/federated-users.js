// Acts for a user who logged in at your own identity provider: every decision and every line of
// evidence names the user, and revoking the user ends what was done in the user's name.
import { Caracal } from 'caracal/sdk'

const caracal = new Caracal()
const user = await caracal.federateSubject(process.env.ID_TOKEN)

await caracal.session(
  (session) => {
    console.log(`session ${session.sessionId}`)
    console.log(`acts for ${caracal.describeAuthority().chain[0]}`)
  },
  {
    subjectAuthorityRecordId: user.subjectAuthorityRecordId,
    // The user's own mandate proves that this application may use the record.
    subjectAuthorityRecordToken: user.token,
  },
)
await caracal.close()
