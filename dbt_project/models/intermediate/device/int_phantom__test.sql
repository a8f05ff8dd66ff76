{#
  `known_day`: the first local day on which the result counts. A result that came in after its day confirms no day before it came; what was
  imported when the device joined (int_device__history) counts from its day on.
#}
with results as (
    select
        site_id,
        device_id,
        series_uid,
        run_key,
        procedure,
        is_phantom,
        acquired_at_utc as tested_at_utc,
        acquired_day as tested_day,
        max(time_zone) as time_zone,
        case
            when max(case when phantom_state <> 'valid' then 1 else 0 end) = 1 then 'not_measured' -- invalid: with that phantom it tells nothing
            when max(case when verdict = 'fail' then 1 else 0 end) = 1 then 'fail'
            -- one head without a value leaves the device unconfirmed, however good the other is
            when max(case when status <> 'measured' then 1 else 0 end) = 1 then 'not_measured'
            when max(case when verdict = 'warn' then 1 else 0 end) = 1 then 'warn'
            when max(case when verdict = 'pass' then 1 else 0 end) = 1 then 'pass'
            else 'none'
        end as result,
        {{ join_reasons('told') }} as reason
    from (
        select
            *,
            case
                when phantom_state <> 'valid' then reason
                when status <> 'measured' then reason -- the same of each measure, told once
                when verdict in ('fail', 'warn')
                    then {{ because('measure.reason', {'measure': 'measure'}, {'reason': 'reason'}) }}
            end as told
        from {{ ref('int_phantom__measure') }}
        where is_current
    ) as m
    group by site_id, device_id, series_uid, run_key, procedure, is_phantom, acquired_at_utc, acquired_day
),

-- a late image makes another state of its series, a sheet another run: the test was known from the first one on
first_states as (
    select site_id, series_uid, min(recorded_at_utc) as arrived_at_utc from {{ ref('stg_dicom__series') }} group by site_id, series_uid
),

first_runs as (
    select site_id, series_uid, min(series_recorded_at_utc) as arrived_at_utc from {{ ref('int_phantom__measure') }} group by site_id, series_uid
),

arrived as (
    select r.*, coalesce(s.arrived_at_utc, m.arrived_at_utc) as arrived_at_utc, h.imported_until_utc
    from results as r
    left join first_states as s on r.site_id = s.site_id and r.series_uid = s.series_uid
    left join first_runs as m on r.site_id = m.site_id and r.series_uid = m.series_uid
    left join {{ ref('int_device__history') }} as h on r.site_id = h.site_id and r.device_id = h.device_id
)

select
    site_id, device_id, series_uid, run_key, procedure, is_phantom, tested_at_utc, tested_day, result, reason, arrived_at_utc,
    case
        when imported_until_utc is null or arrived_at_utc is null or arrived_at_utc <= imported_until_utc then tested_day
        when {{ local_day('arrived_at_utc', 'time_zone') }} > tested_day then {{ local_day('arrived_at_utc', 'time_zone') }}
        else tested_day
    end as known_day
from arrived
