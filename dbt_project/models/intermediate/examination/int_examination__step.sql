with performed as (
    select
        e.exam_code,
        e.plan_valid_from,
        e.injected_at_utc,
        p.*
    from {{ ref('int_examination__performed_step') }} as p
    inner join {{ ref('int_examination__known') }} as e on p.site_id = e.site_id and p.accession_number = e.accession_number
),

planned as (
    select
        e.site_id, e.accession_number, e.exam_code, e.is_cancelled, e.reported_at_utc, e.day_is_over and e.is_awaited as day_is_over,
        p.step, p.sequence, p.mandatory, p.min_after_injection_min, p.max_after_injection_min
    from {{ ref('int_examination__known') }} as e
    inner join {{ ref('exam_plans') }} as p on e.exam_code = p.exam_code and e.plan_valid_from = p.valid_from
),

-- first start of each step, whatever became of it: what order is judged by
begun as (
    select
        site_id, accession_number, step,
        min(started_at_utc) as first_started_at_utc,
        max(occurrence) as occurrences,
        max(case when result = 'done' then 1 else 0 end) as done
    from performed
    group by site_id, accession_number, step
),

begun_planned as (
    select b.*, p.sequence
    from begun as b
    inner join planned as p on b.site_id = p.site_id and b.accession_number = p.accession_number and b.step = p.step
),

-- an earlier step of the plan that began only after this one
overtaken as (
    select
        f.site_id, f.accession_number, f.step, f.occurrence,
        {{ list_of('earlier.step') }} as began_later
    from performed as f
    inner join begun_planned as this on f.site_id = this.site_id and f.accession_number = this.accession_number and f.step = this.step
    inner join begun_planned as earlier
        on
            f.site_id = earlier.site_id and f.accession_number = earlier.accession_number
            and earlier.sequence < this.sequence and earlier.first_started_at_utc > f.started_at_utc
    group by f.site_id, f.accession_number, f.step, f.occurrence
),

judged as (
    select
        f.*,
        p.sequence,
        p.mandatory,
        o.began_later,
        case
            when p.sequence > i.sequence then {{ seconds_between('f.injected_at_utc', 'f.started_at_utc') }} / 60.0
        end as minutes_after_injection,
        p.min_after_injection_min,
        p.max_after_injection_min
    from performed as f
    left join planned as p on f.site_id = p.site_id and f.accession_number = p.accession_number and f.step = p.step
    left join planned as i on f.site_id = i.site_id and f.accession_number = i.accession_number and i.step = 'injection'
    left join overtaken as o
        on f.site_id = o.site_id and f.accession_number = o.accession_number and f.step = o.step and f.occurrence = o.occurrence
),

done as (
    select
        site_id, accession_number, step, occurrence, exam_code, sequence, mandatory,
        case when result = 'aborted' then 'aborted' when began_later is not null then 'out_of_order' else 'done' end as state,
        started_at_utc, ended_at_utc, staff_id, device_id, room_id, minutes_after_injection,
        case
            when result = 'aborted' or coalesce(min_after_injection_min, max_after_injection_min) is null or minutes_after_injection is null
                then null
            else
                minutes_after_injection >= coalesce(min_after_injection_min, minutes_after_injection)
                and minutes_after_injection <= coalesce(max_after_injection_min, minutes_after_injection)
        end as timing_ok,
        min_after_injection_min, max_after_injection_min,
        case
            when result = 'aborted' then coalesce(note, {{ because('step.aborted') }})
            when began_later is not null then {{ because('step.began_before', {'step': 'began_later'}) }}
            when exam_code is null then {{ because('order.unknown') }}
            when sequence is null then {{ because('step.not_in_plan') }}
            when tellings > 1 then {{ because('step.told_again', {'times': 'tellings'}) }}
        end as reason
    from judged
),

-- what the plan asks for and nobody has done: never filled in, and missing only when it can no longer come in its place
absent as (
    select
        p.site_id, p.accession_number, p.step,
        coalesce(b.occurrences, 0) + 1 as occurrence,
        p.exam_code, p.sequence, p.mandatory,
        p.min_after_injection_min, p.max_after_injection_min,
        p.reported_at_utc, p.day_is_over,
        coalesce(b.occurrences, 0) as attempts,
        max(l.step) as a_later_step
    from planned as p
    left join begun as b on p.site_id = b.site_id and p.accession_number = b.accession_number and p.step = b.step
    left join begun_planned as l
        on p.site_id = l.site_id and p.accession_number = l.accession_number and l.sequence > p.sequence
        and (b.first_started_at_utc is null or l.first_started_at_utc > b.first_started_at_utc)
    where p.mandatory and not p.is_cancelled and coalesce(b.done, 0) = 0
    group by
        p.site_id, p.accession_number, p.step, b.occurrences, p.exam_code, p.sequence, p.mandatory,
        p.min_after_injection_min, p.max_after_injection_min, p.reported_at_utc, p.day_is_over
)

select * from done

union all

select
    site_id, accession_number, step, occurrence, exam_code, sequence, mandatory,
    case when a_later_step is not null or reported_at_utc is not null or day_is_over then 'missing' else 'pending' end as state,
    null as started_at_utc, null as ended_at_utc, null as staff_id, null as device_id, null as room_id,
    null as minutes_after_injection, null as timing_ok,
    min_after_injection_min, max_after_injection_min,
    case
        when a_later_step is not null and attempts > 0 then {{ because('step.only_aborted') }}
        when a_later_step is not null then {{ because('step.later_began') }}
        when reported_at_utc is not null then {{ because('step.reported_without') }}
        when day_is_over then {{ because('step.day_over') }}
    end as reason
from absent
