with steps as (
    select
        site_id, accession_number,
        min(started_at_utc) as started_at_utc,
        max(case when step = 'acquisition' and state in ('done', 'out_of_order') then ended_at_utc end) as ended_at_utc,
        -- where it was done, else where it was begun
        coalesce(
            max(case when step = 'acquisition' and state in ('done', 'out_of_order') then device_id end),
            max(case when step in ('positioning', 'acquisition') then device_id end)
        ) as device_id,
        coalesce(
            max(case when step = 'acquisition' and state in ('done', 'out_of_order') then room_id end),
            max(case when step in ('positioning', 'acquisition') then room_id end)
        ) as room_id,
        count(distinct case when mandatory then step end) as steps_expected,
        count(distinct case when state in ('done', 'out_of_order') then step end) as steps_done,
        sum(case when state = 'missing' then 1 else 0 end) as steps_missing,
        sum(case when state = 'pending' then 1 else 0 end) as steps_pending,
        sum(case when staff_id is not null and credential_valid is null then 1 else 0 end) as steps_credential_unknown
    from {{ ref('fct_examination_step') }}
    group by site_id, accession_number
),

series as (
    select site_id, accession_number, count(*) as series_count, max(case when device_id <> 'UNREGISTERED' then device_id end) as device_id
    from {{ ref('int_examination__series') }}
    group by site_id, accession_number
),

-- the patient's first coming on the day of the examination
arrivals as (
    select e.site_id, e.accession_number, min(p.occurred_at_utc) as arrived_at_utc
    from {{ ref('int_examination__known') }} as e
    inner join {{ ref('stg_his__patient') }} as p
        on
            e.site_id = p.site_id and e.patient_pseudonym = p.patient_pseudonym and p.trigger in ('A01', 'A04', 'A05', 'A10')
            and {{ local_day('p.occurred_at_utc', 'e.time_zone') }} = e.exam_day
    group by e.site_id, e.accession_number
),

clues as (
    select
        site_id, accession_number, count(*) as findings,
        max(case severity when 'fail' then 2 when 'warn' then 1 else 0 end) as worst
    from {{ ref('fct_finding') }}
    where accession_number is not null
    group by site_id, accession_number
),

indications as (
    select i.site_id, i.accession_number, min(c.sequence) as first_sequence
    from {{ ref('int_examination__indication') }} as i
    inner join {{ ref('indications') }} as c on i.indication_code = c.indication_code
    group by i.site_id, i.accession_number
),

final as (
    select
        e.site_id, e.accession_number, e.patient_pseudonym, e.exam_code, e.exam_name,
        coalesce(x.name_en || ' ' || x.name_zh, e.exam_code) as exam_title, e.indication,
        coalesce(c.indication_code, 'missing') as indication_code,
        case
            when e.is_cancelled then 'cancelled'
            when e.reported_at_utc is not null then 'reported'
            when t.ended_at_utc is not null then 'acquired'
            when t.started_at_utc is not null then 'in_progress'
            when a.arrived_at_utc is not null then 'arrived'
            else 'ordered'
        end as status,
        e.ordered_at_utc, e.scheduled_at_utc, a.arrived_at_utc, t.started_at_utc, t.ended_at_utc, e.reported_at_utc,
        coalesce(t.device_id, i.device_id) as device_id,
        coalesce(t.room_id, v.room_id) as room_id,
        d.agent, d.administered_mbq,
        coalesce(i.series_count, 0) as series_count,
        coalesce(t.steps_expected, 0) as steps_expected,
        coalesce(t.steps_done, 0) as steps_done,
        coalesce(t.steps_missing, 0) as steps_missing,
        coalesce(f.findings, 0) as findings,
        case
            when f.worst = 2 then 'fail'
            when f.worst = 1 then 'warn'
            -- a pass needs everything to be known: a plan, all its steps, the dose and the staff
            when
                e.reported_at_utc is not null and not e.is_cancelled and e.plan_valid_from is not null and t.steps_pending = 0
                and t.steps_missing = 0 and t.steps_credential_unknown = 0 and d.verdict = 'pass'
                then 'pass'
            else 'none'
        end as verdict
    from {{ ref('int_examination__known') }} as e
    left join indications as n on e.site_id = n.site_id and e.accession_number = n.accession_number
    left join {{ ref('indications') }} as c on n.first_sequence = c.sequence
    left join {{ ref('exams') }} as x on e.exam_code = x.exam_code
    left join steps as t on e.site_id = t.site_id and e.accession_number = t.accession_number
    left join series as i on e.site_id = i.site_id and e.accession_number = i.accession_number
    left join arrivals as a on e.site_id = a.site_id and e.accession_number = a.accession_number
    left join clues as f on e.site_id = f.site_id and e.accession_number = f.accession_number
    left join {{ ref('int_examination__dose') }} as d on e.site_id = d.site_id and e.accession_number = d.accession_number
    left join {{ ref('devices') }} as v on e.site_id = v.site_id and coalesce(t.device_id, i.device_id) = v.device_id
)

{{ contracted('final') }}
