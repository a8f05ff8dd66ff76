-- Findings about what had to be ready before a step, and about the kinds of images. `worst` lowers what only warns.
with devices_of as (
    select site_id, accession_number, max(device_id) as device_id, max(case when step = 'acquisition' and state in ('done', 'out_of_order') then 1 else 0 end) as is_acquired
    from {{ ref('fct_examination_step') }}
    group by site_id, accession_number
),

shortfalls as (
    select
        'FORM_MISSING' as rule_id, site_id, accession_number, step, subject, at_utc, staff_id, room_id, effect, reason,
        cast(null as double) as value, {{ null_text() }} as unit, {{ null_text() }} as limit_text
    from {{ ref('int_requirement__form') }}

    union all

    select 'PREPARATION', site_id, accession_number, step, subject, at_utc, staff_id, room_id, effect, reason, value, unit, limit_text
    from {{ ref('int_requirement__preparation') }}

    union all

    select
        'DRUG_INTERFERENCE', site_id, accession_number, step, subject, at_utc, staff_id, room_id, effect, reason, value, unit,
        {{ limit_text('withhold_days', 'cast(null as double)', "'d'") }}
    from {{ ref('int_requirement__drug') }}

    union all

    select 'ORDER_IN_FORCE', site_id, accession_number, step, 'order', at_utc, staff_id, room_id, 'block', 'the order was cancelled', null, null, null
    from {{ ref('int_requirement__moment') }}
    where step = 'injection' and is_cancelled and order_told_at_utc <= at_utc
),

-- an examination that is over without the images of its kind
imageless as (
    select
        e.site_id, e.accession_number, e.exam_code, coalesce(e.reported_at_utc, e.scheduled_at_utc, e.first_started_at_utc) as at_utc,
        d.device_id,
        count(distinct i.series_uid) as images,
        -- an image of which nobody can say what it is may be the one
        max(case when i.is_required or (i.series_uid is not null and i.fits is null) then 1 else 0 end) as has_required,
        max(case when w.expected = 'every' then 1 else 0 end) as is_always_expected
    from {{ ref('int_examination__known') }} as e
    inner join devices_of as d on e.site_id = d.site_id and e.accession_number = d.accession_number
    inner join {{ ref('exam_images') }} as w
        on
            e.exam_code = w.exam_code and w.role = 'required' and w.valid_from <= e.exam_day and (w.valid_until is null or w.valid_until >= e.exam_day)
    left join {{ ref('exam_images') }} as n
        on
            w.exam_code = n.exam_code and w.modality = n.modality and w.image_class is not distinct from n.image_class and n.version > w.version
            and n.valid_from <= e.exam_day and (n.valid_until is null or n.valid_until >= e.exam_day)
    left join {{ ref('int_requirement__image') }} as i on e.site_id = i.site_id and e.accession_number = i.accession_number
    where n.exam_code is null and not e.is_cancelled and d.is_acquired = 1 and (e.reported_at_utc is not null or e.day_is_over)
    group by e.site_id, e.accession_number, e.exam_code, e.reported_at_utc, e.scheduled_at_utc, e.first_started_at_utc, d.device_id
)

select
    s.site_id, s.rule_id, 'accession/step/requirement' as subject_kind, s.accession_number || '/' || s.step || '/' || s.subject as subject_id,
    d.device_id, s.room_id, s.accession_number, s.staff_id, s.at_utc as occurred_at_utc, s.value, s.unit, s.limit_text, s.reason,
    {{ null_text() }} as clause, {{ null_text() }} as picture_href, 'fct_examination' as source_mart,
    case s.effect when 'block' then 'fail' else 'warn' end as worst
from shortfalls as s
left join devices_of as d on s.site_id = d.site_id and s.accession_number = d.accession_number
where s.effect is not null

union all

select
    site_id, 'IMAGE_KIND', 'series', series_uid, device_id, null, accession_number, null, coalesce(acquired_at_utc, recorded_at_utc), null, null, null,
    coalesce(procedure, modality || ' ' || coalesce(image_class, 'of an unknown class')) || ' is no image of the examination ' || exam_code,
    null, null, 'fct_image_quality', 'fail'
from {{ ref('int_requirement__image') }}
where not fits

union all

select
    site_id, 'IMAGE_MISSING', 'accession', accession_number, device_id, null, accession_number, null, at_utc, cast(images as double), null, null,
    'none of ' || {{ text('images') }} || ' series is of the kind that the examination ' || exam_code || ' requires', null, null, 'fct_examination', 'fail'
from imageless
where has_required = 0 and (images > 0 or is_always_expected = 1)
