-- A link of a zone's chain is stored only if its content hash is the one of the row as it will be read back:
-- whoever spelled the JSON of the event, the server's own spelling has the last word.
create function audit_hash_refused(event_id text) returns text
language plpgsql as $$
begin
  raise exception 'the content hash of event % is not that of its row', event_id using errcode = 'CA001';
end
$$;
