select
    site_id,
    device_id,
    series_uid,
    run_key,
    procedure,
    is_phantom,
    acquired_at_utc as tested_at_utc,
    acquired_day as tested_day,
    case
        when max(case when phantom_state <> 'valid' then 1 else 0 end) = 1 then 'not_measured' -- invalid: with that phantom it tells nothing
        when max(case when verdict = 'fail' then 1 else 0 end) = 1 then 'fail'
        -- one head without a value leaves the device unconfirmed, however good the other is
        when max(case when status <> 'measured' then 1 else 0 end) = 1 then 'not_measured'
        when max(case when verdict = 'warn' then 1 else 0 end) = 1 then 'warn'
        when max(case when verdict = 'pass' then 1 else 0 end) = 1 then 'pass'
        else 'none'
    end as result,
    {{ join_text("case when phantom_state <> 'valid' then reason when verdict in ('fail', 'warn') or status <> 'measured' then coalesce(measure || ': ', '') || reason end", '; ') }}
        as reason
from {{ ref('int_phantom__measure') }}
where is_current
group by site_id, device_id, series_uid, run_key, procedure, is_phantom, acquired_at_utc, acquired_day
