{#
  Health = 100 minus the points of `health_points`, day by day; what each contribution took stands in a row of its own, with the reason.
  Drift counts from the day on which it was flagged until an accepted change begins a new trend.
#}
with points as (
    select contribution, condition, points, at_most
    from (
        select *, row_number() over (partition by contribution, condition order by version desc) as newest_first
        from {{ ref('health_points') }}
        where valid_from <= cast({{ as_of() }} as date)
    ) as p
    where newest_first = 1
),

phantom as (
    select site_id, device_id, day, 'phantom' as contribution, state as condition, 1 as times, reason
    from {{ ref('mart_device_day') }}
    where state <> 'fit'
),

drifting as (
    select
        d.site_id, d.device_id, d.day, 'drift' as contribution, case when t.matters then 'matters' else 'small' end as condition,
        count(*) as times, {{ join_text('t.procedure || \', \' || t.reason', '; ') }} as reason
    from {{ ref('int_device__day') }} as d
    inner join {{ ref('devices') }} as v on d.site_id = v.site_id and d.device_id = v.device_id
    inner join (
        select i.*, m.reason
        from {{ ref('int_drift__trend') }} as i
        inner join {{ ref('mart_drift') }} as m on i.trend_id = m.trend_id
        where i.state = 'drift'
    ) as t
        on
            d.site_id = t.site_id and (t.subject_id = d.device_id or (t.subject_kind = 'room' and t.subject_id = v.room_id))
            and t.flagged_day <= d.day and (t.ended_day is null or d.day < t.ended_day)
    group by d.site_id, d.device_id, d.day, case when t.matters then 'matters' else 'small' end
),

rooms as (
    select
        v.site_id, v.device_id, {{ local_day('h.hour_utc', 's.utc_offset_minutes') }} as day, 'environment' as contribution,
        'hour_outside' as condition, count(*) as times, {{ join_text('h.quantity || \' was outside its band\'', '; ') }} as reason
    from {{ ref('mart_environment_hour') }} as h
    inner join {{ ref('sites') }} as s on h.site_id = s.site_id
    inner join {{ ref('devices') }} as v on h.site_id = v.site_id and h.room_id = v.room_id
    where h.verdict = 'fail'
    group by v.site_id, v.device_id, {{ local_day('h.hour_utc', 's.utc_offset_minutes') }}
),

checks as (
    select
        c.site_id, c.device_id, {{ local_day('c.performed_at_utc', 's.utc_offset_minutes') }} as day, 'faults' as contribution,
        'failed_check' as condition, count(*) as times, {{ join_text('\'check failed: \' || c.check_name', '; ') }} as reason
    from {{ ref('stg_door__check') }} as c
    inner join {{ ref('sites') }} as s on c.site_id = s.site_id
    where c.result = 'fail'
    group by c.site_id, c.device_id, {{ local_day('c.performed_at_utc', 's.utc_offset_minutes') }}
),

adverse as (
    select
        e.site_id, e.device_id, {{ local_day('e.occurred_at_utc', 's.utc_offset_minutes') }} as day, 'faults' as contribution,
        'adverse_event' as condition, count(*) as times, {{ join_text('\'adverse event \' || e.event_number', '; ') }} as reason
    from {{ ref('fct_adverse_event') }} as e
    inner join {{ ref('sites') }} as s on e.site_id = s.site_id
    where e.device_id is not null
    group by e.site_id, e.device_id, {{ local_day('e.occurred_at_utc', 's.utc_offset_minutes') }}
),

happened as (
    select * from phantom
    union all
    select * from drifting
    union all
    select * from rooms
    union all
    select * from checks
    union all
    select * from adverse
),

lost as (
    select
        h.site_id, h.device_id, h.day, h.contribution,
        least(sum(h.times * p.points), max(p.at_most)) as points_lost,
        {{ join_text('h.reason', '; ') }} as reason
    from happened as h
    inner join points as p on h.contribution = p.contribution and h.condition = p.condition
    group by h.site_id, h.device_id, h.day, h.contribution
),

contributions as (
    select contribution, max(at_most) as at_most from points group by contribution
),

rows_of_days as (
    select d.site_id, d.device_id, d.day, c.contribution, c.at_most, coalesce(l.points_lost, 0) as points_lost, l.reason
    from {{ ref('int_device__day') }} as d
    cross join contributions as c
    left join lost as l on d.site_id = l.site_id and d.device_id = l.device_id and d.day = l.day and c.contribution = l.contribution
),

final as (
    select *, greatest(0, 100 - sum(points_lost) over (partition by site_id, device_id, day)) as score
    from rows_of_days
)

{{ contracted('final') }}
