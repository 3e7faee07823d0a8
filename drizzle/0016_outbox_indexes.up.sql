-- Every change writes outbox rows, and most of them are published by its own commit. Nothing reads by
-- published_at, and by topic only the revocations of the last day are read again, after a stream lost its memory.
drop index caracal_outbox_published_at_idx;
drop index caracal_outbox_topic_status_idx;
create index caracal_outbox_told_revocations_idx on caracal_outbox (updated_at)
  where topic = 'caracal.sessions.revoke' and status = 'published';
