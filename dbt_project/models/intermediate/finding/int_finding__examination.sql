-- Findings about examinations: dose, credentials, steps, adverse events. `worst` can only lower the severity of a rule.
with doses as (
    select d.*, k.device_id
    from {{ ref('int_examination__dose') }} as d
    left join (
        select site_id, accession_number, max(device_id) as device_id
        from {{ ref('fct_examination_step') }}
        group by site_id, accession_number
    ) as k on d.site_id = k.site_id and d.accession_number = k.accession_number
),

steps as (
    select
        f.*,
        f.accession_number || '/' || f.step || case when f.occurrence > 1 then '/' || {{ text('f.occurrence') }} else '' end as subject_id,
        coalesce(f.started_at_utc, k.reported_at_utc, k.scheduled_at_utc, k.first_started_at_utc, k.ordered_at_utc) as at_utc,
        k.plan_valid_from
    from {{ ref('fct_examination_step') }} as f
    inner join {{ ref('int_examination__known') }} as k on f.site_id = k.site_id and f.accession_number = k.accession_number
)

select
    site_id, 'DOSE_RANGE' as rule_id, 'accession' as subject_kind, accession_number as subject_id, device_id,
    {{ null_text() }} as room_id, accession_number, staff_id, administered_at_utc as occurred_at_utc,
    administered_mbq as value, 'MBq' as unit,
    {{ text('round(prescribed_mbq, 1)') }} || ' MBq ± ' || {{ number_text('tolerance_percent') }} || ' %' as limit_text,
    reason, {{ null_text() }} as clause, {{ null_text() }} as picture_href, 'mart_administered_activity' as source_mart, 'fail' as worst
from doses
where verdict = 'fail'

union all

select
    site_id, 'CREDENTIAL_INVALID', 'accession/step', subject_id, device_id, room_id, accession_number, staff_id, at_utc,
    null, null, null, {{ because('credential.invalid', {'staff': staff_name('steps.staff_id')}) }}, null, null, 'fct_examination_step', 'fail'
from steps
where not credential_valid

union all

select
    site_id, 'STEP_MISSING', 'accession/step', subject_id, device_id, room_id, accession_number, staff_id, at_utc,
    null, null, null, {{ reason_of('steps') }}, null, null, 'fct_examination_step', 'fail'
from steps
where state = 'missing'

union all

select
    site_id, 'STEP_ORDER', 'accession/step', subject_id, device_id, room_id, accession_number, staff_id, at_utc,
    null, null, null, {{ reason_of('steps') }}, null, null, 'fct_examination_step', 'fail'
from steps
where state = 'out_of_order'

union all

select
    s.site_id, 'STEP_TIMING', 'accession/step', s.subject_id, s.device_id, s.room_id, s.accession_number, s.staff_id, s.at_utc,
    s.minutes_after_injection, 'min', {{ limit_text('p.min_after_injection_min', 'p.max_after_injection_min', "'min'") }},
    {{ because('step.minutes_after_injection', {'minutes': rounded('s.minutes_after_injection', 1)}) }}, null, null, 'fct_examination_step', 'fail'
from steps as s
left join {{ ref('exam_plans') }} as p on s.exam_code = p.exam_code and s.step = p.step and s.plan_valid_from = p.valid_from
where not s.timing_ok

union all

select
    site_id, 'ADVERSE_EVENT', 'event', event_number, device_id, room_id, accession_number, null, occurred_at_utc,
    null, null, null, {{ because('adverse_event.described', {'category': 'category', 'severity': 'severity', 'description': 'description'}) }}, null, null, 'fct_adverse_event', 'fail'
from {{ ref('fct_adverse_event') }}
