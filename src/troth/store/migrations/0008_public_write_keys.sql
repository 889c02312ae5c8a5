-- A write key is a server's or a browser's. One that could be either, which was the default, is known to pages.

update sources set settings = settings || '{"browsers": "only"}'
where kind = 'segment' and coalesce(settings ->> 'browsers', 'limited') = 'limited';
