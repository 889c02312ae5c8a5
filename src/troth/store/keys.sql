-- name: find_key
-- The hash is unique; what is expired or revoked is returned too, so that the caller can be told why.
select id, hash, name, kind, mode, scopes, origins, addresses, signing_secret, created_at, expires_at, revoked_at
from api_keys
where hash = $1;

-- name: list_keys
-- Few rows in any installation; newest last, as a terminal shows them.
select id, hash, name, kind, mode, scopes, origins, addresses, signing_secret, created_at, expires_at, revoked_at
from api_keys
order by created_at, id
limit $1;

-- name: insert_key
-- Keys are written once; what changes later is only when they end.
insert into api_keys
    (id, hash, name, kind, mode, scopes, origins, addresses, signing_secret, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: revoke_key
-- The first revocation stands; a key already revoked is reported as found.
update api_keys
set revoked_at = coalesce(revoked_at, $2)
where id = $1
returning id;

-- name: shorten_key
-- Ends the overlap of a rotation; never lengthens a life.
update api_keys
set expires_at = least(expires_at, $2)
where id = $1
returning id, hash, name, kind, mode, scopes, origins, addresses, signing_secret, created_at, expires_at, revoked_at;

-- name: any_personal_key
-- All are sealed by the one master key, so any will do.
select id, sealed
from personal_keys
limit 1;
