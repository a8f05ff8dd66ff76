-- What an examination required, and whether it was met: forms, preparation and drugs before a step, its agent, the kinds of its images.
with devices_of as (
    select site_id, accession_number, max(device_id) as device_id, max(case when step = 'acquisition' and state in ('done', 'out_of_order') then 1 else 0 end) as is_acquired
    from {{ ref('fct_examination_step') }}
    group by site_id, accession_number
),

before_steps as (
    select
        'FORM_MISSING' as rule_id, site_id, accession_number, step, subject, requirement_id, requirement_version, is_known, at_utc, staff_id, room_id,
        effect, reason, cast(null as double) as value, {{ null_text() }} as unit, {{ null_text() }} as limit_text
    from {{ ref('int_requirement__form') }}

    union all

    select
        'PREPARATION', site_id, accession_number, step, subject, requirement_id, requirement_version, is_known, at_utc, staff_id, room_id,
        effect, reason, value, unit, limit_text
    from {{ ref('int_requirement__preparation') }}

    union all

    select
        'DRUG_INTERFERENCE', site_id, accession_number, step, subject, requirement_id, requirement_version, is_known, at_utc, staff_id, room_id,
        effect, reason, value, unit,
        '≥ ' || {{ number_text('withhold_days') }} || ' d'
    from {{ ref('int_requirement__drug') }}

    union all

    select
        'ORDER_IN_FORCE', site_id, accession_number, step, 'order', null, null, coalesce(order_state, '') <> 'unknown', at_utc, staff_id, room_id,
        case when order_state <> 'open' then 'block' end,
        {{ order_reason('order_state') }}, null, null, null
    from {{ ref('int_requirement__moment') }}
    where step = 'injection'
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
),

every as (
    select
        s.site_id, s.accession_number, s.rule_id, s.accession_number || '/' || s.step || '/' || s.subject as subject_id,
        'accession/step/requirement' as subject_kind, s.step, s.subject, s.requirement_id, s.requirement_version, coalesce(s.effect, 'met') as state,
        s.is_known, s.value, s.unit, s.limit_text, s.reason, s.at_utc, d.device_id, s.room_id, s.staff_id
    from before_steps as s
    left join devices_of as d on s.site_id = d.site_id and s.accession_number = d.accession_number

    union all

    select
        a.site_id, a.accession_number, 'AGENT_KIND', a.accession_number, 'accession', 'injection', a.agent, null, null,
        case when a.agent_fits then 'met' else 'block' end, true, null, null, null,
        case when not a.agent_fits then {{ because('dose.agent_other', {'agent': 'a.agent', 'exam': exam_name('a.exam_code')}) }} end, a.administered_at_utc, d.device_id,
        null, a.staff_id
    from {{ ref('int_examination__dose') }} as a
    left join devices_of as d on a.site_id = d.site_id and a.accession_number = d.accession_number

    union all

    select
        site_id, accession_number, 'IMAGE_KIND', series_uid, 'series', 'acquisition', coalesce(procedure, image_class, modality), null, null,
        case when fits then 'met' when not fits then 'block' else 'unknown' end, fits is not null, null, null, null,
        case
            when not fits
                then
                    {{ because('image.other_kind', {'procedure': 'procedure', 'modality': 'case when procedure is null then modality end',
                        'image_class': 'case when procedure is null then image_class end', 'exam': exam_name('i.exam_code')}) }}
        end,
        coalesce(acquired_at_utc, recorded_at_utc), device_id, null, null
    from {{ ref('int_requirement__image') }} as i
    where best_first = 1

    union all

    select
        site_id, accession_number, 'IMAGE_MISSING', accession_number, 'accession', 'acquisition', exam_code, null, null,
        case when has_required = 1 then 'met' when images = 0 and is_always_expected = 0 then 'unknown' else 'block' end,
        has_required = 1 or images > 0 or is_always_expected = 1, cast(images as double), null, null,
        case
            when has_required = 0 and (images > 0 or is_always_expected = 1)
                then
                    {{ because('image.none_of_kind', {'series': 'images', 'exam': exam_name('imageless.exam_code')}) }}
        end,
        at_utc, device_id, null, null
    from imageless
),

final as (
    select e.*, k.exam_code
    from every as e
    inner join {{ ref('int_examination__known') }} as k on e.site_id = k.site_id and e.accession_number = k.accession_number
)

{{ contracted('final') }}
