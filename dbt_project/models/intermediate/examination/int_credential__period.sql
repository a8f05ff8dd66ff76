-- A later word about the same credential from the same day on replaces the earlier one: a correction, or a withdrawal.
with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, staff_id, credential, valid_from_utc order by occurred_at_utc desc, recorded_at_utc desc, journal_offset desc
        ) as newest_first
    from {{ ref('stg_door__credential') }}
)

select site_id, staff_id, role, credential, issuer, valid_from_utc, valid_until_utc
from numbered
where newest_first = 1
