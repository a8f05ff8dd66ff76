-- Completeness of each sensor on each complete local day, and its longest gap.
with expected as (
    select site_id, room_id, sensor_id, quantity, {{ each_slot('first_slot_utc', 'last_slot_utc') }} as slot_utc
    from {{ ref('int_environment__sensor_span') }}
),

answered as (
    select
        e.site_id, e.room_id, e.sensor_id, e.quantity, e.slot_utc,
        {{ local_day('e.slot_utc', 's.time_zone') }} as day,
        s.time_zone,
        g.slot_utc is not null as received
    from expected as e
    inner join {{ ref('sites') }} as s on e.site_id = s.site_id
    left join {{ ref('int_environment__slot') }} as g
        on e.site_id = g.site_id and e.sensor_id = g.sensor_id and e.quantity = g.quantity and e.slot_utc = g.slot_utc
),

counted as (
    select
        site_id, room_id, sensor_id, quantity, day,
        count(*) as slots_expected,
        sum(case when received then 1 else 0 end) as slots_received
    from answered
    group by site_id, room_id, sensor_id, quantity, day, time_zone
    having {{ day_start_utc(plus_days('day', 1), 'time_zone') }} <= {{ as_of() }}
),

-- missing slots in a row share the number of answered slots before them
missing as (
    select site_id, sensor_id, quantity, day, answered_before, min(slot_utc) as gap_start_utc, 10 * count(*) as gap_minutes
    from (
        select
            *,
            sum(case when received then 1 else 0 end) over (
                partition by site_id, sensor_id, quantity, day order by slot_utc rows unbounded preceding
            ) as answered_before
        from answered
    ) as numbered
    where not received
    group by site_id, sensor_id, quantity, day, answered_before
),

longest as (
    select *, row_number() over (partition by site_id, sensor_id, quantity, day order by gap_minutes desc, gap_start_utc) as longest_first
    from missing
)

select
    c.*,
    100.0 * c.slots_received / c.slots_expected as completeness_percent,
    l.gap_start_utc,
    l.gap_minutes
from counted as c
left join longest as l
    on c.site_id = l.site_id and c.sensor_id = l.sensor_id and c.quantity = l.quantity and c.day = l.day and l.longest_first = 1
