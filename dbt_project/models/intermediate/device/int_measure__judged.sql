with registered as (
    select
        m.*,
        coalesce(d.device_id, 'UNREGISTERED') as device_id,
        s.time_zone,
        {{ local_day('m.acquired_at_utc', 's.time_zone') }} as acquired_day
    from {{ ref('stg_analysis__measure') }} as m
    inner join {{ ref('sites') }} as s on m.site_id = s.site_id
    left join {{ ref('int_device__identity') }} as d
        on
            m.site_id = d.site_id and m.device_serial is not distinct from d.device_serial
            and m.station_name is not distinct from d.station_name
),

runs as (
    select
        site_id, analysis, series_uid, run_key,
        max(series_recorded_at_utc) as recorded_at_utc,
        max(coalesce(acquired_day, {{ local_day('series_recorded_at_utc', 'time_zone') }})) as day,
        max(switched_off) as switched_off,
        max({{ version_order('method_version') }}) as version_order
    from registered
    group by site_id, analysis, series_uid, run_key
),

-- a run that was made with other procedures switched off than are off on its day by now is history: a switch was corrected
switches as (
    select r.site_id, r.analysis, r.series_uid, r.run_key, {{ join_text('s.sentence', '; ') }} as switched_off
    from runs as r
    inner join {{ ref('int_component__switch') }} as s
        on r.site_id = s.site_id and s.valid_from <= r.day and (s.valid_until is null or s.valid_until >= r.day)
    group by r.site_id, r.analysis, r.series_uid, r.run_key
),

newest_runs as (
    select
        r.*,
        row_number() over (
            partition by r.site_id, r.series_uid
            order by
                r.recorded_at_utc desc, case when coalesce(r.switched_off, '') = coalesce(s.switched_off, '') then 0 else 1 end,
                r.version_order desc, r.run_key desc
        ) as newest_first
    from runs as r
    left join switches as s on r.site_id = s.site_id and r.analysis = s.analysis and r.series_uid = s.series_uid and r.run_key = s.run_key
),

numbered as (
    select
        r.*, n.newest_first = 1 as is_current,
        -- a lower bound: the true value may be larger, so that no limit can be held against it
        case when r.found_at like '%"lower_bound": true%' then 'indicative' else r.status end as judged_status,
        case when r.found_at like '%"lower_bound": true%' then coalesce(r.reason, {{ because('verdict.lower_bound') }}) else r.reason end
            as judged_reason,
        row_number() over (order by r.run_key, r.procedure, r.detector, r.aspect, r.region, r.measure) as row_id
    from registered as r
    inner join newest_runs as n on r.site_id = n.site_id and r.series_uid = n.series_uid and r.run_key = n.run_key and r.analysis = n.analysis
),

limits_in_force as (
    select
        n.row_id, l.*,
        row_number() over (
            partition by n.row_id
            order by
                case when l.device_id is not null then 4 else 0 end + case when l.detector is not null then 2 else 0 end
                + case when l.region is not null then 1 else 0 end desc,
                l.version desc, l.valid_from desc, l.limit_id
        ) as best_first
    from numbered as n
    inner join {{ ref('limits') }} as l
        on
            n.procedure = l.procedure and n.measure = l.measure
            and (l.device_id is null or l.device_id = n.device_id)
            and (l.detector is null or l.detector = n.detector)
            and (l.region is null or l.region = n.region)
            and l.valid_from <= n.acquired_day
            and (l.valid_until is null or l.valid_until >= n.acquired_day)
)

select
    n.site_id, n.run_key, n.analysis, n.series_uid, nullif(trim(n.accession_number), '') as accession_number, n.device_id, n.procedure,
    n.status, n.detector, n.aspect, n.region, n.measure, n.value, n.unit, n.uncertainty, n.found_at, n.method, n.method_version,
    n.acquired_at_utc, n.series_recorded_at_utc, n.acquired_day, n.time_zone, n.is_current, n.picture,
    l.limit_id, l.version as limit_version, l.warn_low, l.warn_high, l.fail_low, l.fail_high, l.standard, l.clause,
    {{ verdict('n.value', 'n.judged_status', 'l.warn_low', 'l.warn_high', 'l.fail_low', 'l.fail_high') }} as verdict,
    {{ verdict_reason('n.value', 'n.judged_status', 'n.judged_reason', 'l.limit_id', 'l.warn_low', 'l.warn_high', 'l.fail_low', 'l.fail_high', 'n.unit') }}
        as reason,
    {{ limit_text('l.fail_low', 'l.fail_high', 'n.unit') }} as fail_text,
    {{ limit_text('l.warn_low', 'l.warn_high', 'n.unit') }} as warn_text
from numbered as n
left join limits_in_force as l on n.row_id = l.row_id and l.best_first = 1
