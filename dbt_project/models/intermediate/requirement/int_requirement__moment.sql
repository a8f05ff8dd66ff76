-- When each step that forms, preparation and drugs are judged before began, and what is known by then of the order and the person.
with begun as (
    select site_id, accession_number, step, min(started_at_utc) as at_utc, min(staff_id) as staff_id, min(room_id) as room_id
    from {{ ref('int_examination__performed_step') }}
    where result = 'done'
    group by site_id, accession_number, step
),

-- an administration that nobody told as a step is an injection all the same
steps as (
    select * from begun

    union all

    select d.site_id, d.accession_number, 'injection', d.administered_at_utc, d.staff_id, {{ null_text() }}
    from {{ ref('int_examination__dose') }} as d
    left join begun as b on d.site_id = b.site_id and d.accession_number = b.accession_number and b.step = 'injection'
    where b.step is null
),

-- what was told of the order by then: a later word does not undo it. What was told to the day or the minute was known when it came, or
-- when that day or minute was over
tellings as (
    select t.step, o.*
    from steps as t
    inner join {{ ref('stg_his__order') }} as o
        on
            t.site_id = o.site_id and t.accession_number = o.accession_number
            and case
                when o.occurred_precision_s <= 1 then o.happened_at_utc
                else greatest(o.happened_at_utc, least(o.recorded_at_utc, {{ plus_seconds('o.happened_at_utc', 'o.occurred_precision_s') }}))
            end <= t.at_utc
),

told as (
    {{ as_told('tellings', ['site_id', 'accession_number', 'step'], 'happened_at_utc') }}
),

orders as (
    {{ order_states('told', ['site_id', 'accession_number', 'step']) }}
),

-- what visits and the order itself say of the person
persons as (
    select
        e.site_id, e.accession_number, v.event_id, v.happened_at_utc, v.occurred_precision_s, v.recorded_at_utc, v.journal_offset, v.sex,
        v.birth_year
    from {{ ref('int_examination__known') }} as e
    inner join {{ ref('stg_his__patient') }} as v on e.site_id = v.site_id and e.patient_pseudonym = v.patient_pseudonym

    union all

    select
        e.site_id, e.accession_number, o.event_id, o.happened_at_utc, o.occurred_precision_s, o.recorded_at_utc, o.journal_offset, o.sex,
        o.birth_year
    from {{ ref('int_examination__known') }} as e
    inner join {{ ref('stg_his__order') }} as o
        on e.site_id = o.site_id and e.accession_number = o.accession_number and e.patient_pseudonym = o.patient_pseudonym
),

visits as (
    {{ as_told('persons', ['site_id', 'accession_number'], 'happened_at_utc') }}
),

sexes as (
    select
        site_id, accession_number, sex,
        row_number() over (partition by site_id, accession_number order by {{ newest_told() }}) as newest_first
    from visits
    where sex is not null
),

births as (
    select
        site_id, accession_number, birth_year,
        row_number() over (partition by site_id, accession_number order by {{ newest_told() }}) as newest_first
    from visits
    where birth_year is not null
)

select
    t.site_id,
    t.accession_number,
    t.step,
    t.at_utc,
    t.staff_id,
    t.room_id,
    {{ local_day('t.at_utc', 's.time_zone') }} as day,
    e.exam_code,
    e.is_cancelled,
    o.order_state,
    x.sex,
    b.birth_year
from steps as t
inner join {{ ref('sites') }} as s on t.site_id = s.site_id
inner join {{ ref('int_examination__known') }} as e on t.site_id = e.site_id and t.accession_number = e.accession_number
left join orders as o on t.site_id = o.site_id and t.accession_number = o.accession_number and t.step = o.step
left join sexes as x on e.site_id = x.site_id and e.accession_number = x.accession_number and x.newest_first = 1
left join births as b on e.site_id = b.site_id and e.accession_number = b.accession_number and b.newest_first = 1
-- as the live answer has it: an examination without plan, or whose plan has no such step, has nothing that could be asked for
inner join {{ ref('exam_plans') }} as p on e.exam_code = p.exam_code and e.plan_valid_from = p.valid_from and t.step = p.step
