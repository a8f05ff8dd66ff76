-- The days of each registered device: from the beginning of its history to the day that as_of ends or lies in.
with spans as (
    select
        h.site_id,
        h.device_id,
        s.time_zone,
        h.first_day,
        -- a second before as_of: a release as of midnight ends with the day that has just ended
        {{ local_day("(" ~ as_of() ~ " - interval '1' second)", 's.time_zone') }} as last_day
    from {{ ref('int_device__history') }} as h
    inner join {{ ref('sites') }} as s on h.site_id = s.site_id
),

days as (
    select site_id, device_id, time_zone, first_day, {{ each_day('first_day', 'last_day') }} as day
    from spans
    where first_day <= last_day
),

opened as (
    select
        d.*,
        {{ wall_utc(plus_minutes('cast(d.day as timestamp)', "(60 * cast(split_part(o.opens_at, ':', 1) as integer) + cast(split_part(o.opens_at, ':', 2) as integer))"), 'd.time_zone') }}
            as opens_at_utc,
        row_number() over (
            partition by d.site_id, d.device_id, d.day order by case when o.device_id is not null then 0 else 1 end, o.valid_from desc nulls last
        ) as best_first
    from days as d
    left join {{ ref('opening_hours') }} as o
        on d.site_id = o.site_id and (o.device_id is null or o.device_id = d.device_id) and o.valid_from <= d.day
)

select site_id, device_id, first_day, day, opens_at_utc
from opened
where best_first = 1
