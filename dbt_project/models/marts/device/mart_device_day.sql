with tests as (
    select
        site_id, device_id, day,
        sum(case when is_scheduled then 1 else 0 end) as tests_due,
        sum(case when is_scheduled and is_done then 1 else 0 end) as tests_done,
        sum(case when is_failed then 1 else 0 end) as tests_failed,
        max(case state when 'not_fit' then 4 when 'not_confirmed' then 3 when 'conditional' then 2 else 1 end) as worst,
        max(last_test_at_utc) as last_test_at_utc,
        max(last_test_arrived_at_utc) as last_test_arrived_at_utc,
        {{ join_reasons('reason') }} as reason,
        max(case state_at_opening when 'not_fit' then 4 when 'not_confirmed' then 3 when 'conditional' then 2 when 'fit' then 1 end) as worst_at_opening,
        {{ join_reasons('reason_at_opening') }} as reason_at_opening
    from {{ ref('int_device__due_test') }}
    group by site_id, device_id, day
),

failed as (
    select c.*, {{ local_day('c.performed_at_utc', 's.time_zone') }} as day
    from (
        select
            site_id, device_id, check_name, result, performed_at_utc,
            min(case when result <> 'fail' then performed_at_utc end) over (
                partition by site_id, device_id, check_name order by performed_at_utc, recorded_at_utc, event_id
                rows between 1 following and unbounded following
            ) as passed_at_utc
        from {{ ref('stg_door__check') }}
    ) as c
    inner join {{ ref('sites') }} as s on c.site_id = s.site_id
    where c.result = 'fail'
),

-- a failure counts on its own day, and on later ones until the same check has passed before the first patient of a day
checks as (
    select
        d.site_id, d.device_id, d.day,
        {{ list_of('f.check_name') }} as failed_checks,
        max(
            case
                when f.performed_at_utc <= d.opens_at_utc and (f.day = d.day or f.passed_at_utc is null or f.passed_at_utc > d.opens_at_utc)
                    then 1
                else 0
            end
        ) as failed_at_opening
    from {{ ref('int_device__day') }} as d
    inner join failed as f on d.site_id = f.site_id and d.device_id = f.device_id and f.day <= d.day
    inner join {{ ref('sites') }} as s on d.site_id = s.site_id
    left join {{ ref('int_device__patient_use') }} as u on d.site_id = u.site_id and d.device_id = u.device_id and d.day = u.day
    where
        f.day = d.day or f.passed_at_utc is null or {{ local_day('f.passed_at_utc', 's.time_zone') }} > d.day
        or ({{ local_day('f.passed_at_utc', 's.time_zone') }} = d.day and f.passed_at_utc > u.first_patient_at_utc)
    group by d.site_id, d.device_id, d.day
),

final as (
    select
        d.site_id, d.device_id, d.day,
        case
            when c.failed_checks is not null or t.worst = 4 then 'not_fit'
            when t.worst = 3 or t.worst is null or t.tests_due = 0 then 'not_confirmed'
            when t.worst = 2 then 'conditional'
            else 'fit'
        end as state,
        case
            when c.failed_checks is not null then {{ both_reasons(because('check.failed', {'checks': 'c.failed_checks'}), 't.reason') }}
            when t.worst is null then {{ because('test.none_scheduled') }}
            else t.reason
        end as reason,
        coalesce(t.tests_due, 0) as tests_due, coalesce(t.tests_done, 0) as tests_done, coalesce(t.tests_failed, 0) as tests_failed,
        u.first_patient_at_utc, t.last_test_at_utc, t.last_test_arrived_at_utc, coalesce(u.examinations, 0) as examinations,
        d.opens_at_utc,
        case
            when d.opens_at_utc is null or d.opens_at_utc > {{ as_of() }} then null -- nobody can tell yet
            when c.failed_at_opening = 1 or t.worst_at_opening = 4 then 'not_fit'
            when t.worst_at_opening = 3 or t.worst_at_opening is null then 'not_confirmed'
            when t.worst_at_opening = 2 then 'conditional'
            else 'fit'
        end as state_at_opening,
        case
            when d.opens_at_utc is null or d.opens_at_utc > {{ as_of() }} then null
            when c.failed_at_opening = 1 then {{ both_reasons(because('check.failed', {'checks': 'c.failed_checks'}), 't.reason_at_opening') }}
            when t.worst_at_opening is null then {{ because('test.none_scheduled') }}
            else t.reason_at_opening
        end as reason_at_opening
    from {{ ref('int_device__day') }} as d
    left join tests as t on d.site_id = t.site_id and d.device_id = t.device_id and d.day = t.day
    left join checks as c on d.site_id = c.site_id and d.device_id = c.device_id and d.day = c.day
    left join {{ ref('int_device__patient_use') }} as u on d.site_id = u.site_id and d.device_id = u.device_id and d.day = u.day
)

{{ contracted('final') }}
