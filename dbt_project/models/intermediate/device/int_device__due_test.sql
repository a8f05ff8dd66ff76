{#
  One row per device, day and test that says something about the day: each scheduled test that is due, and each other test that has failed. A
  scheduled test covers the day it is made on and the next every_days - 1 days; one that is not made daily is due for the first time when it
  could have been made once: every_days - 1 days after the history begins. A failure stands, scheduled or not, until the same test has another
  verdict: time heals no device. A result that passes counts from the day on which it was known (int_phantom__test), a failure at once.
#}
with schedule as (
    select
        *,
        -- a new version counts from its first day on and leaves the days before to the version of then
        lead(valid_from) over (partition by device_id, procedure order by valid_from) as next_valid_from
    from {{ ref('phantom_schedule') }}
),

scheduled as (
    select
        d.site_id,
        d.device_id,
        d.day,
        d.opens_at_utc,
        s.procedure,
        s.every_days,
        true as is_scheduled,
        d.day >= {{ plus_days('case when s.valid_from > d.first_day then s.valid_from else d.first_day end', 's.every_days - 1') }} as must_be_there
    from {{ ref('int_device__day') }} as d
    inner join schedule as s
        on d.device_id = s.device_id and s.valid_from <= d.day and (s.next_valid_from is null or d.day < s.next_valid_from)
),

verdicts as (
    select
        *,
        case when result = 'fail' then tested_day else known_day end as counts_from,
        lead(case when result = 'fail' then tested_day else known_day end) over (
            partition by site_id, device_id, procedure order by tested_at_utc, run_key desc
        ) as next_counts_from
    from {{ ref('int_phantom__test') }}
    where result in ('pass', 'warn', 'fail') and procedure is not null and tested_day is not null
),

failing as (
    select distinct site_id, device_id, procedure from verdicts where result = 'fail'
),

unscheduled as (
    select d.site_id, d.device_id, d.day, d.opens_at_utc, f.procedure, 1 as every_days, false as is_scheduled, false as must_be_there
    from {{ ref('int_device__day') }} as d
    inner join failing as f on d.site_id = f.site_id and d.device_id = f.device_id
    left join scheduled as s
        on d.site_id = s.site_id and d.device_id = s.device_id and d.day = s.day and f.procedure = s.procedure
    where s.procedure is null
),

slots as (
    select a.*, u.first_patient_at_utc
    from (
        select * from scheduled
        union all
        select * from unscheduled
    ) as a
    left join {{ ref('int_device__patient_use') }} as u on a.site_id = u.site_id and a.device_id = u.device_id and a.day = u.day
),

tests as (
    select
        s.site_id, s.device_id, s.day, s.procedure,
        t.result, t.reason, t.tested_at_utc, t.arrived_at_utc,
        s.first_patient_at_utc is null or t.tested_at_utc <= s.first_patient_at_utc as in_time,
        row_number() over (
            partition by s.site_id, s.device_id, s.day, s.procedure, s.first_patient_at_utc is null or t.tested_at_utc <= s.first_patient_at_utc
            order by t.tested_at_utc desc, t.run_key
        ) as latest_first
    from slots as s
    inner join verdicts as t
        on
            s.site_id = t.site_id and s.device_id = t.device_id and s.procedure = t.procedure
            and t.tested_day <= s.day and t.tested_day > {{ plus_days('s.day', '-s.every_days') }} and t.counts_from <= s.day
),

-- a failure of before the period, after which the test has no verdict yet
standing as (
    select
        s.site_id, s.device_id, s.day, s.procedure, f.tested_at_utc,
        {{ because('test.failed_before', {'procedure': 's.procedure', 'day': text('f.tested_day')}, {'reason': 'f.reason'}) }} as reason
    from slots as s
    inner join verdicts as f
        on
            s.site_id = f.site_id and s.device_id = f.device_id and s.procedure = f.procedure and f.result = 'fail'
            and f.tested_day <= {{ plus_days('s.day', '-s.every_days') }}
            and (f.next_counts_from is null or f.next_counts_from > {{ plus_days('s.day', '-s.every_days') }})
),


-- what was known by the opening time
opening as (
    select site_id, device_id, day, procedure, result, reason
    from (
        select
            s.site_id, s.device_id, s.day, s.procedure, t.result, t.reason,
            row_number() over (partition by s.site_id, s.device_id, s.day, s.procedure order by t.tested_at_utc desc, t.run_key) as latest_first
        from slots as s
        inner join verdicts as t
            on
                s.site_id = t.site_id and s.device_id = t.device_id and s.procedure = t.procedure
                and t.tested_day <= s.day and t.tested_day > {{ plus_days('s.day', '-s.every_days') }} and t.counts_from <= s.day
                and t.tested_at_utc <= s.opens_at_utc
    ) as o
    where latest_first = 1
),

-- tries that gave no verdict, or one that nobody knew on that day: the test was made, but tells nothing
tries as (
    select
        s.site_id, s.device_id, s.day, s.procedure,
        max(case when t.result in ('not_measured', 'none') then t.reason end) as reason,
        max(case when t.result in ('pass', 'warn') then t.known_day end) as known_day,
        max(t.tested_at_utc) as tested_at_utc
    from slots as s
    inner join {{ ref('int_phantom__test') }} as t
        on
            s.site_id = t.site_id and s.device_id = t.device_id and (s.procedure = t.procedure or (t.procedure is null and t.is_phantom))
            and t.tested_day <= s.day and t.tested_day > {{ plus_days('s.day', '-s.every_days') }}
            and (t.result in ('not_measured', 'none') or (t.result in ('pass', 'warn') and t.known_day > s.day))
    group by s.site_id, s.device_id, s.day, s.procedure
)

select
    s.site_id,
    s.device_id,
    s.day,
    s.procedure,
    s.every_days,
    s.is_scheduled,
    case
        when coalesce(before.result = 'fail', false) or coalesce(after.result = 'fail', false) then 'not_fit'
        when before.result is null and standing.reason is not null then 'not_fit'
        when before.result is null and after.result is null then 'not_confirmed'
        when before.result is null or coalesce(before.result = 'warn', false) or coalesce(after.result = 'warn', false) then 'conditional'
        else 'fit'
    end as state,
    case
        when before.result = 'fail' then {{ because('test.failed', {'procedure': 's.procedure'}, {'reason': 'before.reason'}) }}
        when after.result = 'fail' then {{ because('test.failed_late', {'procedure': 's.procedure'}, {'reason': 'after.reason'}) }}
        when before.result is null and standing.reason is not null
            then
                {{ both_reasons(
                    'standing.reason',
                    'case when s.must_be_there and after.result is null and tries.tested_at_utc is null then '
                    ~ because('test.missing', {'procedure': 's.procedure'}) ~ ' end'
                ) }}
        when before.result is null and after.result is null and tries.known_day is not null
            then {{ because('test.known_late', {'procedure': 's.procedure', 'day': text('tries.known_day')}) }}
        when before.result is null and after.result is null and tries.tested_at_utc is not null
            then {{ because('test.not_measured', {'procedure': 's.procedure'}, {'reason': "coalesce(tries.reason, " ~ because('verdict.none') ~ ")"}) }}
        when before.result is null and after.result is null then {{ because('test.missing', {'procedure': 's.procedure'}) }}
        when before.result is null then {{ because('test.late', {'procedure': 's.procedure'}) }}
        when before.result = 'warn' then {{ because('test.warning', {'procedure': 's.procedure'}, {'reason': 'before.reason'}) }}
        when after.result = 'warn' then {{ because('test.warning', {'procedure': 's.procedure'}, {'reason': 'after.reason'}) }}
    end as reason,
    s.must_be_there and before.result is null and after.result is null and tries.tested_at_utc is null as is_missing,
    before.result is not null or after.result is not null as is_done,
    coalesce(before.result = 'fail', false) or coalesce(after.result = 'fail', false) or (before.result is null and standing.reason is not null)
        as is_failed,
    coalesce(after.tested_at_utc, before.tested_at_utc, tries.tested_at_utc, standing.tested_at_utc) as last_test_at_utc,
    coalesce(after.arrived_at_utc, before.arrived_at_utc) as last_test_arrived_at_utc,
    case
        when opening.result is null and standing.reason is not null then 'not_fit'
        when opening.result is null and not s.is_scheduled then null -- nobody expected it
        else case opening.result when 'fail' then 'not_fit' when 'warn' then 'conditional' when 'pass' then 'fit' else 'not_confirmed' end
    end as state_at_opening,
    case
        when opening.result is null and standing.reason is not null then standing.reason
        when opening.result is null and s.is_scheduled then {{ because('test.not_by_opening', {'procedure': 's.procedure'}) }}
        when opening.result = 'fail' then {{ because('test.failed', {'procedure': 's.procedure'}, {'reason': 'opening.reason'}) }}
        when opening.result <> 'pass' then {{ because('test.warning', {'procedure': 's.procedure'}, {'reason': 'opening.reason'}) }}
    end as reason_at_opening
from slots as s
left join tests as before
    on
        s.site_id = before.site_id and s.device_id = before.device_id and s.day = before.day and s.procedure = before.procedure
        and before.in_time and before.latest_first = 1
left join tests as after
    on
        s.site_id = after.site_id and s.device_id = after.device_id and s.day = after.day and s.procedure = after.procedure
        and not after.in_time and after.latest_first = 1
left join opening on s.site_id = opening.site_id and s.device_id = opening.device_id and s.day = opening.day and s.procedure = opening.procedure
left join tries on s.site_id = tries.site_id and s.device_id = tries.device_id and s.day = tries.day and s.procedure = tries.procedure
left join standing
    on s.site_id = standing.site_id and s.device_id = standing.device_id and s.day = standing.day and s.procedure = standing.procedure
where
    case
        when s.is_scheduled then s.must_be_there or before.result is not null or after.result is not null or standing.reason is not null
        -- of a test that nobody has scheduled only a failure counts
        else
            coalesce(before.result = 'fail', false) or coalesce(after.result = 'fail', false)
            or (before.result is null and standing.reason is not null)
    end
