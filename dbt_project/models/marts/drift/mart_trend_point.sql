with placed as (
    select
        *,
        lag(measured_at_utc) over (partition by site_id, subject_id, procedure, measure, detector, region order by measured_at_utc, n) as measured_before
    from {{ ref('int_drift__point') }}
),

happened as (
    select
        p.trend_id,
        p.n,
        e.kind,
        row_number() over (partition by p.trend_id, p.n order by e.occurred_at_utc desc, e.event_id desc) as newest_first
    from placed as p
    inner join {{ ref('fct_device_event') }} as e
        on p.site_id = e.site_id and p.subject_id = e.device_id and p.measured_at_utc >= e.occurred_at_utc and p.measured_before < e.occurred_at_utc
    where p.subject_kind = 'device'
),

final as (
    select
        p.*,
        p.n <= p.learning as is_baseline,
        round(p.value - p.baseline_value, 6) as change_from_baseline,
        coalesce(p.baseline_id, 'first ' || {{ text('p.baseline_n') }} || ' values') as baseline_source,
        h.kind as device_event
    from placed as p
    left join happened as h on p.trend_id = h.trend_id and p.n = h.n and h.newest_first = 1
)

{{ contracted('final') }}
