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

drifting as (
    select
        d.site_id, d.device_id, d.day, 'drift' as contribution, case when t.matters then 'matters' else 'small' end as condition,
        count(*) as times, {{ join_reasons('t.told') }} as reason
    from {{ ref('int_device__day') }} as d
    inner join {{ ref('devices') }} as v on d.site_id = v.site_id and d.device_id = v.device_id
    inner join (
        select i.*, {{ because('procedure.comma', {'procedure': 'i.procedure'}, {'reason': reason_of('m')}) }} as told
        from {{ ref('int_drift__trend') }} as i
        inner join {{ ref('mart_drift') }} as m on i.trend_id = m.trend_id
        where i.state = 'drift'
    ) as t
        on
            d.site_id = t.site_id and (t.subject_id = d.device_id or (t.subject_kind = 'room' and t.subject_id = v.room_id))
            and t.flagged_day <= d.day and (t.ended_day is null or d.day < t.ended_day)
    group by d.site_id, d.device_id, d.day, case when t.matters then 'matters' else 'small' end
),

-- what happened at a moment
moments as (
    select
        v.site_id, v.device_id, h.hour_utc as happened_at_utc, 'environment' as contribution, 'hour_outside' as condition,
        {{ because('room.outside_band', {'quantity': 'h.quantity'}) }} as reason
    from {{ ref('mart_environment_hour') }} as h
    inner join {{ ref('devices') }} as v on h.site_id = v.site_id and h.room_id = v.room_id
    where h.verdict = 'fail'
    union all
    select site_id, device_id, performed_at_utc, 'faults', 'failed_check', {{ because('check.failed', {'checks': 'check_name'}) }}
    from {{ ref('stg_door__check') }}
    where result = 'fail'
    union all
    select site_id, device_id, occurred_at_utc, 'faults', 'adverse_event', {{ because('adverse_event.number', {'number': 'event_number'}) }}
    from {{ ref('fct_adverse_event') }}
    where device_id is not null
),

dated as (
    select m.*, {{ local_day('m.happened_at_utc', 's.time_zone') }} as day
    from moments as m
    inner join {{ ref('sites') }} as s on m.site_id = s.site_id
),

happened as (
    select site_id, device_id, day, 'phantom' as contribution, state as condition, 1 as times, {{ reason_of('d') }} as reason
    from {{ ref('mart_device_day') }} as d
    where state <> 'fit'
    union all
    select * from drifting
    union all
    select site_id, device_id, day, contribution, condition, count(*) as times, {{ join_reasons('reason') }} as reason
    from dated
    group by site_id, device_id, day, contribution, condition
),

lost as (
    select
        h.site_id, h.device_id, h.day, h.contribution,
        least(sum(h.times * p.points), max(p.at_most)) as points_lost,
        {{ join_reasons('h.reason') }} as reason
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
