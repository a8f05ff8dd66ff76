-- When each scheduled test is due next. A test that was never made is due as int_device__due_test has it: every_days - 1 days after the first data.
with today as (
    select site_id, {{ local_day("(" ~ as_of() ~ " - interval '1' second)", 'time_zone') }} as day from {{ ref('sites') }}
),

schedule as (
    select
        d.site_id, s.*, t.day as today,
        row_number() over (partition by s.device_id, s.procedure order by s.valid_from desc) as newest_first
    from {{ ref('phantom_schedule') }} as s
    inner join {{ ref('devices') }} as d on s.device_id = d.device_id
    inner join today as t on d.site_id = t.site_id
    where s.valid_from <= t.day
),

tests as (
    select
        *,
        row_number() over (partition by site_id, device_id, procedure order by tested_at_utc desc, run_key) as latest_first
    from {{ ref('int_phantom__test') }}
    where result in ('pass', 'warn', 'fail') and tested_at_utc < {{ as_of() }}
),

off as (
    select t.site_id, s.component, {{ join_reasons('s.reason') }} as reason
    from today as t
    inner join {{ ref('int_component__switch') }} as s
        on t.site_id = s.site_id and s.valid_from <= t.day and (s.valid_until is null or s.valid_until >= t.day)
    group by t.site_id, s.component
),

first_days as (
    select site_id, device_id, min(first_day) as first_day from {{ ref('int_device__day') }} group by site_id, device_id
),

dated as (
    select
        s.site_id, s.device_id, s.procedure, s.every_days, s.today,
        o.reason as switched_off, t.tested_at_utc as last_test_at_utc, t.result as last_result, t.run_key as last_run_key,
        case
            when t.tested_day is not null then {{ plus_days('t.tested_day', 's.every_days') }}
            else {{ plus_days('case when s.valid_from > f.first_day then s.valid_from else f.first_day end', 's.every_days - 1') }}
        end as next_due_day
    from schedule as s
    left join tests as t on s.site_id = t.site_id and s.device_id = t.device_id and s.procedure = t.procedure and t.latest_first = 1
    left join off as o on s.site_id = o.site_id and s.procedure = o.component
    left join first_days as f on s.site_id = f.site_id and s.device_id = f.device_id
    where s.newest_first = 1
),

told as (
    select
        *,
        case
            when next_due_day < today
                then
                    {{ because('test.overdue', {'procedure': 'procedure', 'due': text('next_due_day'), 'last': moment_text('last_test_at_utc')}) }}
            when next_due_day is null then {{ because('test.no_data_yet') }}
        end as due_reason
    from dated
),

final as (
    select
        *,
        {{ days_between('today', 'next_due_day') }} as days_left,
        case
            when next_due_day is null then 'not_in_use'
            when next_due_day < today then 'overdue'
            when next_due_day = today then 'due'
            else 'ok'
        end as state,
        -- off does not mean not due: the device stays unconfirmed, and the list says who decided so
        {{ both_reasons('due_reason', 'switched_off') }} as reason
    from told
)

{{ contracted('final') }}
