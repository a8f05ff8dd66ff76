with ranked as (
    select
        *,
        row_number() over (partition by site_id, sensor_id, quantity, read_at_utc order by recorded_at_utc desc, journal_offset desc) as newest_first
    from {{ source('lake', 'readings') }}
)

select
    site_id,
    event_id,
    room_id,
    sensor_id,
    quantity,
    value,
    unit,
    quality,
    {{ utc('read_at_utc') }} as read_at_utc,
    {{ utc('recorded_at_utc') }} as recorded_at_utc
from ranked
where newest_first = 1
