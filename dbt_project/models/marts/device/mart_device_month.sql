with days as (
    select
        site_id, device_id, {{ month('day') }} as month,
        sum(case when state = 'fit' then 1 else 0 end) as days_fit,
        sum(case when state = 'not_fit' then 1 else 0 end) as days_not_fit,
        sum(case when state = 'not_confirmed' then 1 else 0 end) as days_not_confirmed
    from {{ ref('mart_device_day') }}
    group by site_id, device_id, {{ month('day') }}
),

used as (
    select site_id, device_id, {{ month('day') }} as month, sum(examinations) as examinations
    from {{ ref('int_device__patient_use') }}
    group by site_id, device_id, {{ month('day') }}
),

series as (
    select site_id, device_id, {{ month('local_day') }} as month, count(*) as series
    from {{ ref('int_series__current') }}
    group by site_id, device_id, {{ month('local_day') }}
),

tests as (
    select
        site_id, device_id, {{ month('tested_day') }} as month,
        count(*) as phantom_tests,
        sum(case when result = 'fail' then 1 else 0 end) as phantom_fails
    from {{ ref('int_phantom__test') }}
    where procedure is not null and tested_day is not null
    group by site_id, device_id, {{ month('tested_day') }}
),

-- quality of one series: the share of its judged aspects that pass
series_quality as (
    select
        site_id, device_id, series_uid, {{ month('acquired_day') }} as month,
        100.0 * sum(case when verdict = 'pass' then 1 else 0 end) / count(*) as quality_percent
    from {{ ref('int_measure__judged') }}
    where analysis = 'clinical' and is_current and verdict <> 'none' and acquired_day is not null
    group by site_id, device_id, series_uid, {{ month('acquired_day') }}
),

quality as (
    select site_id, device_id, month, round(avg(quality_percent), 6) as image_quality_mean, count(*) as image_quality_n
    from series_quality
    group by site_id, device_id, month
),

months as (
    select site_id, device_id, month from days
    union
    select site_id, device_id, month from used
    union
    select site_id, device_id, month from series
    union
    select site_id, device_id, month from tests
),

final as (
    select
        m.site_id, m.device_id, m.month,
        coalesce(u.examinations, 0) as examinations, coalesce(s.series, 0) as series,
        coalesce(t.phantom_tests, 0) as phantom_tests, coalesce(t.phantom_fails, 0) as phantom_fails,
        q.image_quality_mean, coalesce(q.image_quality_n, 0) as image_quality_n,
        coalesce(d.days_fit, 0) as days_fit, coalesce(d.days_not_fit, 0) as days_not_fit, coalesce(d.days_not_confirmed, 0) as days_not_confirmed
    from months as m
    left join days as d on m.site_id = d.site_id and m.device_id = d.device_id and m.month = d.month
    left join used as u on m.site_id = u.site_id and m.device_id = u.device_id and m.month = u.month
    left join series as s on m.site_id = s.site_id and m.device_id = s.device_id and m.month = s.month
    left join tests as t on m.site_id = t.site_id and m.device_id = t.device_id and m.month = t.month
    left join quality as q on m.site_id = q.site_id and m.device_id = q.device_id and m.month = q.month
)

{{ contracted('final') }}
