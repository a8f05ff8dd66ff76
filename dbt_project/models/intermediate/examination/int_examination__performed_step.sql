with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, accession_number, step, occurrence order by recorded_at_utc desc, journal_offset desc, event_id
        ) as newest_first,
        count(*) over (partition by site_id, accession_number, step, occurrence) as tellings
    from {{ ref('stg_door__step') }}
)

select
    site_id, accession_number, step, occurrence, started_at_utc, ended_at_utc, staff_id, device_id, room_id, result, note, tellings
from numbered
where newest_first = 1
