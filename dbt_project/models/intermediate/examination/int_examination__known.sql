-- An examination is whatever an order, a step or a dose speaks of; without an order its kind stays unknown.
with spoken_of as (
    select site_id, accession_number from {{ ref('int_examination__order') }}
    union
    select site_id, accession_number from {{ ref('int_examination__performed_step') }}
    union
    select site_id, accession_number from {{ ref('int_examination__dose') }}
),

steps as (
    select
        site_id,
        accession_number,
        min(started_at_utc) as first_started_at_utc,
        min(case when step = 'injection' and result = 'done' then started_at_utc end) as injection_started_at_utc
    from {{ ref('int_examination__performed_step') }}
    group by site_id, accession_number
),

dated as (
    select
        k.site_id,
        k.accession_number,
        o.patient_pseudonym,
        o.exam_code,
        o.exam_name,
        o.indication,
        coalesce(o.is_cancelled, false) as is_cancelled,
        -- nobody waits for an order on hold, or under a code that nobody knows, or of which no day was told and nothing was begun
        coalesce(o.order_state not in ('held', 'unknown'), true)
        and coalesce(o.scheduled_at_utc, t.first_started_at_utc, d.administered_at_utc) is not null as is_awaited,
        o.ordered_at_utc,
        o.scheduled_at_utc,
        t.first_started_at_utc,
        r.reported_at_utc,
        -- the dose record is the more exact witness of the injection
        coalesce(d.administered_at_utc, t.injection_started_at_utc) as injected_at_utc,
        s.time_zone,
        {{ local_day('coalesce(o.scheduled_at_utc, t.first_started_at_utc, d.administered_at_utc, o.ordered_at_utc)', 's.time_zone') }}
            as exam_day
    from spoken_of as k
    inner join {{ ref('sites') }} as s on k.site_id = s.site_id
    left join {{ ref('int_examination__order') }} as o on k.site_id = o.site_id and k.accession_number = o.accession_number
    left join steps as t on k.site_id = t.site_id and k.accession_number = t.accession_number
    left join {{ ref('int_examination__dose') }} as d on k.site_id = d.site_id and k.accession_number = d.accession_number
    left join {{ ref('int_examination__report') }} as r on k.site_id = r.site_id and k.accession_number = r.accession_number
),

plans as (
    select exam_code, valid_from
    from {{ ref('exam_plans') }}
    group by exam_code, valid_from
),

plan_in_force as (
    select d.site_id, d.accession_number, max(p.valid_from) as plan_valid_from
    from dated as d
    inner join plans as p on d.exam_code = p.exam_code and p.valid_from <= d.exam_day
    group by d.site_id, d.accession_number
)

select
    d.*,
    f.plan_valid_from,
    {{ day_start_utc(plus_days('d.exam_day', 1), 'd.time_zone') }} <= {{ as_of() }} as day_is_over
from dated as d
left join plan_in_force as f on d.site_id = f.site_id and d.accession_number = f.accession_number
