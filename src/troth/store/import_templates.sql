-- Templates of imports: few rows, read by name.

-- name: put_template
-- One statement for new and known names; `is_new` tells which.
insert into import_templates as known (name, options, created_at, updated_at, created_by)
values ($1, $2, $3, $3, $4)
on conflict (name) do update set options = excluded.options, updated_at = excluded.updated_at
returning name, options, created_at, updated_at, created_by, xmax = 0 as is_new;

-- name: template
-- By its key.
select name, options, created_at, updated_at, created_by
from import_templates
where name = $1;

-- name: templates
-- A page, from behind the last name shown.
select name, options, created_at, updated_at, created_by
from import_templates
where name > $1
order by name
limit $2;

-- name: count_templates
-- There is a bound.
select count(*) from import_templates;

-- name: drop_template
-- Imports keep the options they began with.
delete from import_templates where name = $1 returning name;
