{#
  The values that are charted: what a row of `drift_charts` asks for, measured, and no finding of its own already (a test that failed, a day
  with an hour outside the band). Rooms give one value a complete local day: the mean of its hours, because half a day of a daily curve has
  another mean. Values of one trend have one subject, procedure, measure, detector, region, method and version, and one baseline.
#}
with charts as (
    select *, row_number() over (partition by subject_kind, procedure, measure order by version desc) as newest_first
    from {{ ref('drift_charts') }}
    where valid_from <= cast({{ as_of() }} as date)
),

tests as (
    select
        *,
        max(case when verdict = 'fail' then 1 else 0 end) over (partition by site_id, series_uid, procedure) as failed
    from {{ ref('int_phantom__measure') }}
    where is_current and device_id <> 'UNREGISTERED' and coalesce(phantom_state, 'valid') = 'valid'
),

dated as (
    select h.*, {{ local_day('h.hour_utc', 's.time_zone') }} as day, s.time_zone
    from {{ ref('mart_environment_hour') }} as h
    inner join {{ ref('sites') }} as s on h.site_id = s.site_id
    where h.slots_expected > 0
),

-- a local day has 23 or 25 hours where the clock is changed
spans as (
    select
        time_zone, day,
        {{ day_start_utc('day', 'time_zone') }} as day_start_utc,
        {{ day_start_utc(plus_days('day', 1), 'time_zone') }} as next_start_utc
    from (select distinct time_zone, day from dated) as local_days
),

hours as (
    select
        d.*,
        s.day_start_utc,
        -- full hours of UTC that begin in the day
        {{ seconds_between("date_trunc('hour', " ~ plus_minutes('s.day_start_utc', 59) ~ ")", "date_trunc('hour', " ~ plus_minutes('s.next_start_utc', 59) ~ ")") }}
        / 3600 as hours_of_day
    from dated as d
    inner join spans as s on d.time_zone = s.time_zone and d.day = s.day
),

room_days as (
    select
        site_id, room_id, quantity, day, max(unit) as unit, 
        -- summed as whole millionths: in which order threads add is not fixed, and halves would be rounded either way
        round(sum(cast(round(value_mean * 1000000) as bigint)) / (1000000.0 * count(*)), 6) as value,
        min(day_start_utc) as measured_at_utc
    from hours
    group by site_id, room_id, quantity, day
    having
        sum(slots_expected) = 6 * min(hours_of_day) and 100.0 * sum(slots_received) / sum(slots_expected) >= {{ var('completeness_percent') }}
        and max(case when verdict = 'fail' then 1 else 0 end) = 0
),

measured as (
    select
        site_id, 'device' as subject_kind, device_id as subject_id, procedure, measure, detector, region, method, method_version,
        phantom_serial, run_key, acquired_at_utc as measured_at_utc, acquired_day as day, value, unit
    from tests
    where failed = 0 and status = 'measured' and abs(value) < 1e300 and acquired_at_utc is not null

    union all

    select
        site_id, 'room', room_id, 'environment', quantity, null, null, 'mean of a day', '1', null, null, measured_at_utc, day, value, unit
    from room_days
),

-- the last accepted baseline or change before the value
begun as (
    select
        m.*, c.chart_id, c.baseline_n, c.sigma_floor, c.cusum_k, c.cusum_h, c.ewma_weight, c.ewma_limit, c.clip_z, c.min_shift, c.peer_z,
        b.baseline_id, b.value as accepted_value, b.sigma as accepted_sigma, b.valid_from as baseline_from,
        row_number() over (
            partition by m.site_id, m.subject_id, m.procedure, m.measure, m.detector, m.region, m.method, m.method_version, m.run_key, m.measured_at_utc
            order by
                b.valid_from desc nulls last,
                case when b.measure is not null then 4 else 0 end + case when b.detector is not null then 2 else 0 end
                + case when b.region is not null then 1 else 0 end desc,
                b.version desc, b.baseline_id
        ) as best_first
    from measured as m
    inner join charts as c on m.subject_kind = c.subject_kind and m.procedure = c.procedure and m.measure = c.measure and c.newest_first = 1
    left join {{ ref('baselines') }} as b
        on
            m.subject_id = b.subject_id and m.procedure = b.procedure
            and (b.measure is null or b.measure = m.measure)
            and (b.detector is null or b.detector = m.detector)
            and (b.region is null or b.region = m.region)
            and b.valid_from <= m.day
),

named as (
    select
        *,
        md5(
            site_id || '|' || subject_id || '|' || procedure || '|' || measure || '|' || coalesce(detector, '') || '|' || coalesce(region, '') || '|'
            || coalesce(method, '') || '|' || coalesce(method_version, '') || '|' || coalesce(baseline_id || '|' || {{ text('baseline_from') }}, '')
        ) as trend_id
    from begun
    where best_first = 1
)

select *, row_number() over (partition by trend_id order by measured_at_utc, run_key) as n
from named
