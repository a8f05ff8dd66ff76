-- One row a trend: where it was flagged first, when the run that led there began, and how far the values have moved since.
with flagged as (
    select
        trend_id, t as flagged_t, measured_at_utc as flagged_at_utc, day as flagged_day,
        case when cusum_high > cusum_low then 'up' else 'down' end as direction,
        row_number() over (partition by trend_id order by t) as first_first
    from {{ ref('int_drift__point') }}
    where is_beyond
),

begun as (
    select
        f.trend_id,
        coalesce(max(case when (case f.direction when 'up' then p.cusum_high else p.cusum_low end) <= 0 then p.t end), 0) + 1 as start_t
    from flagged as f
    inner join {{ ref('int_drift__point') }} as p on f.trend_id = p.trend_id and p.t between 1 and f.flagged_t
    where f.first_first = 1
    group by f.trend_id
),

moved as (
    select
        b.trend_id,
        min(p.measured_at_utc) as start_at_utc,
        min(p.day) as start_day,
        round(avg(p.value) - max(p.baseline_value), 6) as shift
    from begun as b
    inner join {{ ref('int_drift__point') }} as p on b.trend_id = p.trend_id and p.t >= b.start_t
    group by b.trend_id
),

ends as (
    select
        *,
        count(*) over (partition by trend_id) as values_seen,
        min(day) over (partition by trend_id) as first_day,
        row_number() over (partition by trend_id order by n desc) as last_first
    from {{ ref('int_drift__point') }}
),

latest as (
    select
        *,
        -- the newest trend of its subject and measure; earlier ones ended with another method or an accepted change
        row_number() over (
            partition by site_id, subject_id, procedure, measure, detector, region order by measured_at_utc desc, trend_id
        ) as newest_first,
        lead(first_day) over (
            partition by site_id, subject_id, procedure, measure, detector, region order by first_day, measured_at_utc, trend_id
        ) as ended_day
    from ends
    where last_first = 1
)

select
    e.*,
    f.flagged_at_utc, f.flagged_day, f.direction, m.start_at_utc, m.start_day, m.shift,
    case
        when e.baseline_value is null then 'learning'
        when f.trend_id is null then 'in_control'
        when e.is_beyond then 'drift'
        else 'returned'
    end as state,
    coalesce(abs(m.shift) >= e.min_shift, false) as matters
from latest as e
left join flagged as f on e.trend_id = f.trend_id and f.first_first = 1
left join moved as m on e.trend_id = m.trend_id
