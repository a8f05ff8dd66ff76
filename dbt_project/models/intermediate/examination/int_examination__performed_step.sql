-- The newest telling of a step counts, by its own time; a clock that is fast tells nothing of the future.
with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, accession_number, step, occurrence 
            order by least(occurred_at_utc, recorded_at_utc) desc, recorded_at_utc desc, journal_offset desc, event_id
        ) as newest_first,
        count(*) over (partition by site_id, accession_number, step, occurrence) as tellings
    from ({{ linked('stg_door__step') }}) as t
)

select
    site_id, accession_number, step, occurrence, started_at_utc, ended_at_utc, staff_id, device_id, room_id, result, note, tellings
from numbered
where newest_first = 1
