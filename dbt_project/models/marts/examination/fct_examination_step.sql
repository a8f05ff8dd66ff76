with credential_known as (
    select distinct site_id, staff_id from {{ ref('int_credential__period') }}
),

-- whether any credential of the member of staff held when the step began
covered as (
    select s.site_id, s.accession_number, s.step, s.occurrence, count(*) as periods
    from {{ ref('int_examination__step') }} as s
    inner join {{ ref('int_credential__period') }} as c
        on
            s.site_id = c.site_id and s.staff_id = c.staff_id
            and c.valid_from_utc <= s.started_at_utc and s.started_at_utc < c.valid_until_utc
    group by s.site_id, s.accession_number, s.step, s.occurrence
),

-- a staff number may be given out again: the role is that of the moment, else the last one that was held
held as (
    select
        s.site_id, s.accession_number, s.step, s.occurrence, c.role,
        row_number() over (
            partition by s.site_id, s.accession_number, s.step, s.occurrence
            order by case when c.valid_from_utc <= s.started_at_utc and s.started_at_utc < c.valid_until_utc then 0 else 1 end, c.valid_from_utc desc, c.role
        ) as best_first
    from {{ ref('int_examination__step') }} as s
    inner join {{ ref('int_credential__period') }} as c on s.site_id = c.site_id and s.staff_id = c.staff_id
),

final as (
    select
        s.site_id, s.accession_number, s.step, s.occurrence, s.exam_code, s.sequence, s.mandatory, s.state, s.started_at_utc, s.ended_at_utc,
        s.staff_id,
        coalesce(m.role, r.role) as staff_role,
        -- null: nobody acted, or nothing is known about who did
        case when k.staff_id is not null and s.started_at_utc is not null then c.periods is not null end as credential_valid,
        s.device_id, s.room_id, s.minutes_after_injection, s.timing_ok,
        case
            when s.reason is not null then s.reason
            when not s.timing_ok
                then
                    {{ because('step.timing', {'minutes': rounded('s.minutes_after_injection', 1),
                        'limit': limit_text('s.min_after_injection_min', 's.max_after_injection_min', "'min'")}) }}
        end as reason
    from {{ ref('int_examination__step') }} as s
    left join {{ ref('staff') }} as m on s.site_id = m.site_id and s.staff_id = m.staff_id
    left join held as r
        on
            s.site_id = r.site_id and s.accession_number = r.accession_number and s.step = r.step and s.occurrence = r.occurrence
            and r.best_first = 1
    left join credential_known as k on s.site_id = k.site_id and s.staff_id = k.staff_id
    left join covered as c
        on s.site_id = c.site_id and s.accession_number = c.accession_number and s.step = c.step and s.occurrence = c.occurrence
)

{{ contracted('final') }}
